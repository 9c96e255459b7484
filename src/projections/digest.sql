-- name: settings
-- What a value looks like as text must not depend on the session. No parallel workers: a digest may take long, and
-- queries go before it.
select
    set_config('TimeZone', 'UTC', true),
    set_config('DateStyle', 'ISO, YMD', true),
    set_config('IntervalStyle', 'postgres', true),
    set_config('extra_float_digits', '1', true),
    set_config('bytea_output', 'hex', true),
    set_config('max_parallel_workers_per_gather', '0', true)

-- name: columns
-- By name: two schemas are the same whatever the order in which their columns were made.
select c.relname, a.attname, a.atttypid = 'numeric'::regtype
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid
where n.nspname = %s and c.relkind = 'r' and c.relname <> 'reached' and a.attnum > 0 and not a.attisdropped
order by c.relname collate "C", a.attname collate "C"

-- name: table
-- The sums do not depend on the order of rows. OFFSET 0 keeps the text from being made twice.
select count(*), coalesce(sum(hashtextextended(line, 0)), 0)::text, coalesce(sum(hashtextextended(line, 1)), 0)::text
from (select row({columns})::text collate "C" as line from {table} offset 0) lines
