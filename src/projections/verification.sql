-- name: try_lock
-- Held by the session: whoever dies leaves it free. One at a time, since the tables that are filled have one name.
select pg_try_advisory_lock(hashtextextended('orders verify', 0))

-- name: unlock
select pg_advisory_unlock(hashtextextended('orders verify', 0))

-- name: leftovers
-- Of a verification that was killed.
select nspname from pg_namespace where nspname = any(%s)

-- name: columns
-- Of each table its columns, and whether a column is part of the primary key.
select c.relname, a.attname, coalesce(a.attnum = any(i.indkey), false)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where n.nspname = %s and c.relkind = 'r' and c.relname <> 'reached' and a.attnum > 0 and not a.attisdropped
order by c.relname collate "C", a.attnum

-- name: identity
-- Which tables the names mean now, whatever the snapshot: a swap may have changed that.
select array_agg(to_regclass(quote_ident(%s) || '.' || quote_ident(name))::oid::bigint order by place)
from unnest(%s::text[]) with ordinality as asked (name, place)

-- name: use_indexes
-- A damaged index hides rows, or shows them twice: what is compared is read from the tables themselves.
select set_config('enable_indexscan', %(use)s, true), set_config('enable_indexonlyscan', %(use)s, true),
    set_config('enable_bitmapscan', %(use)s, true)

-- name: counts
select (select count(*) from {live}), (select count(*) from {fresh})

-- name: differences
-- The rows that differ, those of the earliest event first, and how many there are: all, those that are there but should
-- not be, and those that are missing. Numbers are compared as such: 1.10 is 1.1.
select
    count(*) over (), count(*) filter (where fresh.{first_key} is null) over (),
    count(*) filter (where live.{first_key} is null) over (), live.{first_key} is not null, fresh.{first_key} is not null, {keys},
    {differs}, {live_values}, {fresh_values}, coalesce(fresh.position, live.position)
from {live} live
full join {fresh} fresh on {same_key}
where row({live_columns}) is distinct from row({fresh_columns})
order by coalesce(fresh.position, live.position), {keys}
limit {most}

-- name: repeated
-- Keys that more than one row has, and the last event of those rows.
select {keys}, count(*), max(position) from {live} group by {columns} having count(*) > 1
order by max(position), {columns} limit {most}

-- name: event
select originator_id, originator_version, topic from public.order_events where notification_id = %s
