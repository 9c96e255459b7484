-- name: who
-- Who we are there, and on which database.
select current_user, current_database()

-- name: bound
-- As a migration: one at a time, under the same lock, and it waits for tables only so long.
select pg_advisory_xact_lock(1869767794, 2), set_config('lock_timeout', %(lock_timeout)s, true)

-- name: tables
-- Which are guarded against every change: those with the trigger of the log.
select c.relname, exists (
    select from pg_trigger t where t.tgrelid = c.oid and t.tgfoid = to_regprocedure('public.refuse_change()')
)
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
order by c.relname

-- name: foreign_query_tables
-- Schemas of projections, and what is in them, that another role made.
select n.nspname, array_agg(c.relname::text) filter (where c.relname is not null)
from pg_namespace n
left join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
where starts_with(n.nspname, 'projection_') and n.nspowner <> (select oid from pg_roles where rolname = %(role)s)
group by n.nspname

-- name: rights
-- What a role could do to the log, by its rights at once and as one who could give them to itself.
select
    current_user, role.rolsuper, coalesce(bool_or(has_table_privilege(c.oid, 'update, delete, truncate')), false),
    coalesce(bool_or(pg_has_role(c.relowner, 'member')), false)
from pg_roles role
left join pg_class c on c.oid in (to_regclass('public.order_events'), to_regclass('public.hash_chain'))
where role.rolname = current_user
group by role.rolsuper
