-- Who holds what, asked in one way by every part.

-- The session (its backend's number) that holds the advisory lock of this name, hashtextextended(name, 0); null where
-- none does. pg_locks shows a lock of one 64-bit number in two halves, with objsubid 1.
create function public.lock_holder(name text) returns integer
    language sql
    volatile
    set search_path = pg_catalog
as $$
    select pid from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = hashtextextended(lock_holder.name, 0)
    limit 1
$$;

-- The adapter's workers that live: they told of themselves in the last `seen_s` seconds, or their connection still holds
-- a lock of two numbers, of which the first is `space`. While the database stands still, nobody can tell of itself.
create function public.adapter_living(space integer, seen_s double precision) returns setof text
    language sql
    volatile
    set search_path = pg_catalog
as $$
    select worker from public.adapter_workers
    where seen_at > now() - make_interval(secs => seen_s) or backend_pid in (
        select pid from pg_locks
        where locktype = 'advisory' and classid = space::oid and objsubid = 2 and granted
            and database = (select oid from pg_database where datname = current_database())
    )
$$;

revoke all on function public.lock_holder, public.adapter_living from public;
