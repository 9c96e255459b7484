-- What operators see of the followers, and ask of them.

-- Where a follower stands and why; the row leaves when it goes on.
create table public.follower_failure (
    name text not null,
    position bigint not null,
    reason text not null,
    since timestamptz not null default now(),
    constraint follower_failure_key primary key (name),
    constraint follower_failure_position_check check (position >= 1)
);

-- The last rebuild of each projection that an operator asked for; a projector carries it out, and tells how far it is.
create table public.projection_rebuild (
    name text not null,
    state text not null default 'asked',
    asked_at timestamptz not null default now(),
    asked_by text not null,
    started_at timestamptz,
    ended_at timestamptz,
    phase text,
    position bigint,
    target bigint,
    events_per_s double precision,
    outcome text,
    constraint projection_rebuild_key primary key (name),
    constraint projection_rebuild_state_check check (state in ('asked', 'running', 'done', 'failed'))
);
