-- What operators of the exchange adapter see and use.

-- Why each duty is where it is. The table is a projection: it is made again from the log.
truncate public.adapter_duties;
delete from public.follower_checkpoint where name = 'exchange_adapter_duties';
alter table public.adapter_duties
    add column symbol text not null,        -- or the instrument code
    add column worker text,                 -- who claimed the last attempt
    add column attempted_at timestamptz,    -- when
    add column reason text;                 -- of the last failure, doubt or parking

-- For the lists of operators: what waits for a person, oldest first.
create index adapter_duties_waiting on public.adapter_duties (delivery, since_position)
    where delivery in ('in_doubt', 'parked');

-- For the adapters, which read what can be worked on, oldest first, and never walk over what cannot. Each is as small as
-- that part of the backlog; the statement `due` repeats their predicates.
drop index public.adapter_duties_since;
create index adapter_duties_to_send on public.adapter_duties (since_position)
    where delivery in ('queued', 'sending') or (delivery = 'acked' and pending_replace);
create index adapter_duties_to_cancel on public.adapter_duties (since_position)
    where pending_cancel or unwanted;
create index adapter_duties_to_expire on public.adapter_duties (expires_at)
    where delivery in ('queued', 'parked') and expires_at is not null;

-- The adapter processes. A row is told anew each second by its process; one that is no longer told is removed by another.
create table public.adapter_workers (
    worker text not null,
    venue text not null,
    backend_pid integer not null,           -- of the connection that holds its shards
    other_pids integer[] not null default '{}', -- of its other connections that may hold a lock: the follower's
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    shards smallint[] not null default '{}',
    reads_reports boolean not null default false,
    figures jsonb not null default '{}',    -- what /metrics and `orders doctor` show of it
    constraint adapter_workers_key primary key (worker)
) with (
    fillfactor = 10,                        -- a few rows, updated all the time
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);

-- Open alerts; a row leaves when what it tells of has ended. Those with a position follow from the log, in the
-- transaction of the duties; those with a worker are a condition of that process and end with it.
create table public.adapter_alerts (
    kind text not null,
    key text not null,
    opened_at timestamptz not null,
    last_at timestamptz not null,
    times bigint not null default 1,
    position bigint,
    worker text,
    detail text not null,
    constraint adapter_alerts_key primary key (key, kind)  -- the follower looks for those of a batch's orders
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05
);
-- For the looks of each second, which must cost the same however many are open.
create index adapter_alerts_opened on public.adapter_alerts (kind, opened_at, key);
create index adapter_alerts_worker on public.adapter_alerts (worker) where worker is not null;
create index adapter_alerts_quiet on public.adapter_alerts (kind, last_at) where position is not null;

-- What was told outside (log line, webhook) of each kind, so that a restart does not tell it again. Written before a
-- notice goes out and again when it has arrived: one that stands between is told again, under the same number.
create table public.adapter_alert_notices (
    kind text not null,
    number bigint not null,                 -- of notices told; with the kind it names a notice
    open boolean not null,
    alerts bigint not null,                 -- open ones, as told
    newest timestamptz,                     -- when the newest of them opened; null: none is open
    told_at timestamptz not null,
    delivered boolean not null,
    constraint adapter_alert_notices_key primary key (kind)
);

-- Reports of orders that we did not know when they came; a row leaves when its order has appeared and taken it.
create table public.adapter_unmatched_reports (
    order_id uuid not null,                 -- as the venue named it
    venue text not null,                    -- whose report it is
    position bigint not null,               -- of ReportUnmatched
    appeared boolean not null,              -- the order is in the log now
    constraint adapter_unmatched_reports_key primary key (position)
);
create index adapter_unmatched_reports_order on public.adapter_unmatched_reports (order_id);
