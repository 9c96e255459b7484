-- name: try_lock
-- Held by the session: whoever dies leaves it free.
select pg_try_advisory_lock(hashtextextended('rebuild ' || %s, 0))

-- name: holder
select application_name, pid from public.lock_holder('rebuild ' || %s) as held (pid) join pg_stat_activity using (pid)

-- name: bound_digest
select set_config('statement_timeout', %s, true)

-- name: bound_drop
select set_config('lock_timeout', %s, true)

-- name: schemas
-- The sets of tables that are there, with their fingerprint and their size in bytes.
select
    nspname,
    obj_description(n.oid, 'pg_namespace'),
    (
        select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c
        where c.relnamespace = n.oid and c.relkind = 'r'
    )
from pg_namespace n
where nspname = any(%s)
order by nspname
