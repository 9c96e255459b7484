-- The event log: append-only, positions 1..N without a hole in commit order.
-- The columns are those that the eventsourcing package's PostgreSQL recorder reads (release 9.5); unlike its own table
-- the positions (notification_id) come from append_events, not from a sequence, which leaves holes.

create table public.order_events (
    notification_id bigint not null,
    originator_id uuid not null,
    originator_version bigint not null,
    topic text not null,
    state bytea not null,
    constraint order_events_version_key primary key (originator_id, originator_version),
    constraint order_events_version_check check (originator_version >= 1),
    constraint order_events_position_check check (notification_id >= 1)
) with (
    fillfactor = 100,                               -- no row is ever updated
    autovacuum_vacuum_insert_threshold = 50000,     -- only visibility map and freezing are to be done, so in small steps:
    autovacuum_vacuum_insert_scale_factor = 0.02,   -- a large table does not wait for a fifth of itself
    autovacuum_analyze_threshold = 50000,           -- every plan here is an index scan, whatever the statistics say
    autovacuum_analyze_scale_factor = 0.05
);

-- Filled at its right end only, so its pages may be full.
create unique index order_events_position_key on public.order_events (notification_id) with (fillfactor = 100);

create function public.refuse_change() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    raise exception '% of % is refused: events are never changed or removed', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', constraint = tg_table_name || '_immutable';
end
$$;

create trigger order_events_immutable
    before update or delete or truncate on public.order_events
    for each statement execute function public.refuse_change();
alter table public.order_events enable always trigger order_events_immutable;

revoke all on public.order_events from public;
revoke update, delete, truncate on public.order_events from current_user;

-- Appends units, each the events of one stream with consecutive versions, at positions after the head.
-- In: one array element an event, in the order to write; a stream's events belong to one unit.
-- Out: the head before the append, and the streams whose units were dropped, because their first version exists or the
-- version before it does not. All other units are written, in order, without a hole.
-- One statement in autocommit is the whole transaction: no client that freezes can keep it open.
create function public.append_events(
    streams uuid[], versions bigint[], topics text[], states bytea[],
    out head bigint, out dropped uuid[]
)
    language plpgsql
    volatile
    set search_path = public, pg_temp
    set lock_timeout = '4s'
as $$
declare
    last_position bigint;
begin
    -- The head is read in a statement after the lock, and only read committed gives that statement a new snapshot.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'append_events needs read committed, not %', current_setting('transaction_isolation')
            using errcode = 'invalid_transaction_state';
    end if;
    perform pg_advisory_xact_lock(1869767794, 1);  -- 'ordr'; held until the commit is visible, so commit order is position order
    select coalesce(max(notification_id), 0) into head from order_events;
    dropped := '{}';
    last_position := head + cardinality(streams);

    begin
        insert into order_events (notification_id, originator_id, originator_version, topic, state)
        select head + place, stream, version, name, body
        from unnest(streams, versions, topics, states) with ordinality as event (stream, version, name, body, place);
        if exists (select from unnest(versions) as version where version > 1) and exists (
            select from unnest(streams, versions) as event (stream, version)
            where version > 1 and not exists (
                select from order_events where originator_id = stream and originator_version = version - 1
            )
        ) then
            raise exception 'a version without the one before it' using errcode = 'OR001';
        end if;
    exception
        when unique_violation or sqlstate 'OR001' then
            -- The savepoint has undone the insert: now judge unit by unit. If it was no unit's fault, but a position
            -- that someone wrote past this function, the second insert fails like the first, and the call with it.
            select coalesce(array_agg(stream), '{}') into dropped
            from (
                select stream, min(version) as first_version
                from unnest(streams, versions) as event (stream, version)
                group by stream
            ) as unit
            where exists (
                    select from order_events where originator_id = stream and originator_version = first_version
                )
                or first_version > 1 and not exists (
                    select from order_events where originator_id = stream and originator_version = first_version - 1
                );
            insert into order_events (notification_id, originator_id, originator_version, topic, state)
            select head + row_number() over (order by place), stream, version, name, body
            from unnest(streams, versions, topics, states) with ordinality as event (stream, version, name, body, place)
            where stream <> all (dropped)
            order by place;
            get diagnostics last_position = row_count;
            last_position := head + last_position;
    end;

    if last_position > head then
        perform pg_notify('order_events', last_position::text);  -- a hint only: readers poll as well
    end if;
end
$$;
revoke all on function public.append_events from public;
