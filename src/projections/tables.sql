-- name: lock
-- Two projectors that start at once make the tables one after the other.
select pg_advisory_xact_lock(hashtextextended('projection tables ' || %s, 0))

-- name: bound
select set_config('lock_timeout', %s, true)

-- name: fingerprint
-- It is kept as the schema's comment, so that it goes wherever the tables go.
select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s

-- name: has_checkpoint
select exists (select from public.follower_checkpoint where name = %s)

-- name: start_over
-- A raised generation keeps out whoever follows with the old tables in mind.
insert into public.follower_checkpoint (name, position) values (%s, 0)
on conflict (name) do update set position = 0, generation = follower_checkpoint.generation + 1

-- name: tables_of
select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = %s and relkind = 'r'

-- name: use_schema
select set_config('search_path', quote_ident(%s) || ', ' || current_setting('search_path'), true)

-- name: end_follower
-- Who follows holds the lock of orders/follower.sql. Without anything new in the log it would not hear that it is over.
select pg_terminate_backend(pid) from public.lock_holder('follower ' || %s) as held (pid) where pid is not null

-- name: reached
-- One row, updated with every batch: room for heap-only updates in its page.
create table reached (
    position bigint not null,
    is_only_row boolean primary key default true check (is_only_row)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
insert into reached (position) values (0)

-- name: advance
update reached set position = %s where position = %s
