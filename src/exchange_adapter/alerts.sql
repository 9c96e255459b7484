-- name: known
-- The open alerts under a batch's keys that follow from the log.
select kind, key, opened_at, last_at, detail, times, position, worker
from public.adapter_alerts where key = any(%(keys)s) and position is not null

-- name: write
insert into public.adapter_alerts (kind, key, opened_at, last_at, detail, times, position)
select * from unnest(%(kind)s::text[], %(key)s::text[], %(opened_at)s::timestamptz[], %(last_at)s::timestamptz[],
    %(detail)s::text[], %(times)s::bigint[], %(position)s::bigint[])
on conflict (key, kind) do update set
    last_at = excluded.last_at, detail = excluded.detail, times = excluded.times, position = excluded.position,
    worker = null  -- a process may have told of the same before the log did

-- name: remove
delete from public.adapter_alerts
where (kind, key) in (select * from unnest(%(kind)s::text[], %(key)s::text[])) and position is not null

-- name: forget_after
-- When the duties' follower starts: what a table that was since lost, or is made again, once knew.
delete from public.adapter_alerts where position > %(position)s

-- name: judge_held
-- When the duties' follower starts, perhaps with other settings: which orders in doubt only a person can settle now.
-- `waits`, and `cancel_waits` of those with a cancel, say what policy.can_go_on says. At most `limit` are opened.
with held as (
    select order_id::text as key, position, concat_ws(': ', symbol, reason) as detail
    from public.adapter_duties
    where delivery = 'in_doubt' and not unwanted and case when pending_cancel then %(cancel_waits)s else %(waits)s end
), ended as (
    delete from public.adapter_alerts as known
    where kind = %(kind)s and position is not null and not exists (select from held where held.key = known.key)
)
insert into public.adapter_alerts (kind, key, opened_at, last_at, detail, position)
select %(kind)s, key, %(now)s, %(now)s, left(detail, %(length)s), position from held
where not exists (
    select from public.adapter_alerts as known
    where known.key = held.key and known.kind = %(kind)s and known.position is not null
)
order by position limit %(limit)s
on conflict (key, kind) do update set position = excluded.position, worker = null

-- name: tell_own
-- A process' conditions as they are. Where two processes saw the same of an order, the first keeps the row.
with own as (
    select * from unnest(%(kind)s::text[], %(key)s::text[], %(opened_at)s::timestamptz[], %(last_at)s::timestamptz[],
        %(detail)s::text[], %(times)s::bigint[]) as own (kind, key, opened_at, last_at, detail, times)
), ended as (
    delete from public.adapter_alerts as known where worker = %(worker)s
        and not exists (select from own where own.kind = known.kind and own.key = known.key)
)
insert into public.adapter_alerts as known (kind, key, opened_at, last_at, detail, times, worker)
select kind, key, opened_at, last_at, detail, times, %(worker)s from own
on conflict (key, kind) do update set
    last_at = excluded.last_at, detail = excluded.detail, times = excluded.times
where known.worker = excluded.worker
    and (known.last_at, known.detail, known.times) is distinct from (excluded.last_at, excluded.detail, excluded.times)

-- name: lead
-- Whether this session may tell: it holds the lock, or has just got it. A session's lock ends with it.
select case
    when exists (
        select from pg_locks
        where locktype = 'advisory' and classid = %(space)s::bigint::oid and objid = 0 and objsubid = 2
            and pid = pg_backend_pid() and granted
    ) then true
    else pg_try_advisory_lock(%(space)s, 0)
end

-- name: end_quiet
-- Contradictions that were not seen again for long. Rows that the duties' follower writes just now are left to the next
-- look.
delete from public.adapter_alerts where (kind, key) in (
    select kind, key from public.adapter_alerts
    where kind = any(%(kinds)s) and position is not null and last_at < %(quiet_since)s
    for update skip locked
)

-- name: end_gone
-- Conditions of processes that are no more.
delete from public.adapter_alerts as known
where worker <> %(worker)s
    and not exists (select from public.adapter_workers as alive where alive.worker = known.worker)

-- name: open
-- Of each kind how many, counted up to `limit` so that a million cost a look no more than that, the oldest, the newest.
select asked.kind, counted.alerts, counted.since,
    (select max(opened_at) from public.adapter_alerts as newest where newest.kind = asked.kind)
from unnest(%(kinds)s::text[]) as asked (kind)
cross join lateral (
    select count(*) as alerts, min(opened_at) as since
    from (
        select opened_at from public.adapter_alerts as known where known.kind = asked.kind
        order by opened_at limit %(limit)s
    ) as oldest
) as counted
where counted.alerts > 0

-- name: examples
-- Oldest first.
select key, detail, opened_at from public.adapter_alerts where kind = %(kind)s order by opened_at, key limit %(limit)s

-- name: told
select kind, number, open, alerts, newest, told_at, delivered from public.adapter_alert_notices
where kind = any(%(kinds)s)

-- name: write_told
insert into public.adapter_alert_notices (kind, number, open, alerts, newest, told_at, delivered)
values (%(kind)s, %(number)s, %(open)s, %(alerts)s, %(newest)s, %(told_at)s, %(delivered)s)
on conflict (kind) do update set number = excluded.number, open = excluded.open, alerts = excluded.alerts,
    newest = excluded.newest, told_at = excluded.told_at, delivered = excluded.delivered
