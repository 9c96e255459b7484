-- The exchange adapter's own tables. adapter_duties is derived from the log and can be made again from it.

-- What is left to be done at the venue; a row leaves when its duty is settled, so the table stays as small as the backlog.
create table public.adapter_duties (
    order_id uuid not null,
    shard smallint not null,
    since_position bigint not null,
    position bigint not null,
    version bigint not null,
    delivery text not null,
    attempts integer not null,
    failures integer not null,
    pending_cancel boolean not null,
    pending_replace boolean not null,
    unwanted boolean not null,
    not_before timestamptz,
    expires_at timestamptz,
    constraint adapter_duties_key primary key (order_id)
) with (
    fillfactor = 70,                        -- a row is updated a few times in its short life
    autovacuum_vacuum_scale_factor = 0.05   -- rows come and go all the time
);

-- Oldest first.
create index adapter_duties_since on public.adapter_duties (since_position);

-- How far a venue's execution reports are in the log. `source` names the journal or session that numbers them.
create table public.adapter_report_positions (
    venue text not null,
    source text,
    seq bigint not null,
    updated_at timestamptz not null default now(),
    constraint adapter_report_positions_key primary key (venue),
    constraint adapter_report_positions_seq_check check (seq >= 0)
);

-- Cancel and replace requests that went out to a venue which does not repeat its answers. A replace is sent once: who
-- inserts its row may call, and no one else ever. A cancel may be repeated; the row says that a refusal may then only mean
-- that an earlier try went through.
create table public.adapter_sent_requests (
    request_id uuid not null,
    order_id uuid not null,
    worker text not null,
    sent_at timestamptz not null default now(),
    constraint adapter_sent_requests_key primary key (request_id)
);
create index adapter_sent_requests_order on public.adapter_sent_requests (order_id);
