-- The hash chain over the stored events, kept by a follower of the log: docs/decisions/0028-hash-chain.md.

-- A link holds the SHA-256 of each of its events, so that one which was changed later can be named, and a hash over the
-- link before it and these. The first link's predecessor is 32 zero bytes.
create table public.hash_chain (
    first_position bigint not null,
    last_position bigint not null,
    previous bytea not null,
    event_digests bytea not null,           -- 32 bytes an event, in the order of the log
    hash bytea not null,                    -- of previous, first_position (8 bytes, big-endian), event_digests
    made_at timestamptz not null default now(),
    constraint hash_chain_key primary key (last_position),
    constraint hash_chain_previous_key unique (previous),  -- it cannot fork, whoever keeps it at once
    constraint hash_chain_positions_check check (first_position between 1 and last_position),
    constraint hash_chain_digests_check check (octet_length(event_digests) = 32 * (last_position - first_position + 1)),
    constraint hash_chain_hash_check check (octet_length(hash) = 32 and octet_length(previous) = 32)
) with (
    fillfactor = 100                        -- no row is ever updated
);
alter table public.hash_chain alter column event_digests set storage external;  -- digests do not compress

create trigger hash_chain_immutable
    before update or delete or truncate on public.hash_chain
    for each statement execute function public.refuse_change();
alter table public.hash_chain enable always trigger hash_chain_immutable;

revoke all on public.hash_chain from public;
revoke update, delete, truncate on public.hash_chain from current_user;
