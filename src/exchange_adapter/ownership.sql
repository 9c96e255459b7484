-- name: take
-- Up to `most` of the wanted keys, of those that no session holds now. They are picked before any is locked: a lock that
-- a limit cut off afterwards would be held without our knowing. A session's locks end with it.
with held as materialized (
    select objid::bigint as key from pg_locks
    where locktype = 'advisory' and classid = %(space)s::oid and objsubid = 2 and granted
        and database = (select oid from pg_database where datname = current_database())
), picked as materialized (
    select key from unnest(%(keys)s::int[]) as key where key not in (select key from held) order by key limit %(most)s
)
select key from picked where pg_try_advisory_lock(%(space)s, key)

-- name: give_up
select key, pg_advisory_unlock(%(space)s, key) from unnest(%(keys)s::int[]) as key
