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
