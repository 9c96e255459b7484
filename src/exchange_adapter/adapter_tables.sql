-- name: held
-- What waits for a person or may soon, oldest first, and the position of the log that the table holds. One statement is
-- one snapshot. Without rows it returns one line.
with living as materialized (select public.adapter_living(%(space)s, %(seen_s)s) as worker)
select coalesce(reached.position, 0), found.*
from (values ((select position from public.follower_checkpoint where name = %(follower)s))) as reached (position)
left join lateral (
    select d.since_position, d.order_id, d.worker, d.attempted_at, d.reason,
        exists (select from living where living.worker = d.worker),
        exists (select from public.adapter_alerts a where a.key = d.order_id::text and a.kind = 'order_held')
    from public.adapter_duties d
    where d.delivery = any(%(deliveries)s) and d.since_position > %(after)s
        and (%(worker)s::text is null or d.worker = %(worker)s)
        and (%(symbol)s::text is null or d.symbol = %(symbol)s)
        and (%(order_id)s::uuid is null or d.order_id = %(order_id)s)
        and (%(until)s::bigint is null or d.position <= %(until)s)
    order by d.since_position
    limit %(limit)s
) found on true
order by found.since_position

-- name: position
select coalesce((select position from public.follower_checkpoint where name = %(follower)s), 0)

-- name: workers
-- `age_s` is how long ago each told of itself, by the database's clock.
with living as materialized (select public.adapter_living(%(space)s, %(seen_s)s) as worker)
select worker, venue, worker in (select worker from living) as alive,
    round(extract(epoch from now() - seen_at), 3)::float8 as age_s, started_at, seen_at, backend_pid, shards,
    reads_reports, figures
from public.adapter_workers order by started_at, worker limit %(limit)s

-- name: alerts
-- The oldest ones of each kind, with how many there are.
select kind, alerts, since, last_at, times, key, opened_at, example_at, example_times, worker, detail
from (
    select kind, count(*) over of_kind as alerts, min(opened_at) over of_kind as since,
        max(last_at) over of_kind as last_at, (sum(times) over of_kind)::bigint as times, key, opened_at,
        last_at as example_at, times as example_times, worker, detail,
        row_number() over (partition by kind order by opened_at, key) as place
    from public.adapter_alerts
    window of_kind as (partition by kind)
) as listed
where place <= %(examples)s
order by kind, place

-- name: duties_by_delivery
select delivery, count(*) from public.adapter_duties group by delivery

-- name: alerts_by_kind
select kind, count(*) from public.adapter_alerts group by kind

-- name: live_figures
select worker, figures from public.adapter_workers where seen_at > now() - make_interval(secs => %(seen_s)s)
