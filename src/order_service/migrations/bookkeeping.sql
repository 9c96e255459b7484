-- name: take_lock
-- Until the end of the transaction, so it needs no session of its own and works behind a pooler. 'ordr', 2
select pg_advisory_xact_lock(1869767794, 2)

-- name: wait_for_lock
-- Advisory locks obey lock_timeout. A time limit of the role or the database is not for migrations.
select set_config('lock_timeout', %(lock_timeout)s, true), set_config('statement_timeout', '0', true)

-- name: create_table
-- Under the lock: two of these at once fail.
create table if not exists public.schema_migrations (
    number integer not null,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now(),
    constraint schema_migrations_key primary key (number)
)

-- name: table_exists
select to_regclass('public.schema_migrations') is not null

-- name: applied
select number, name, sha256 from public.schema_migrations order by number

-- name: record
insert into public.schema_migrations (number, name, sha256) values (%(number)s, %(name)s, %(sha256)s)
