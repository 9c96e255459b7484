-- name: lags
-- The oldest event that a follower has not taken stands right behind its checkpoint, since positions have no holes; when
-- it was recorded stands in it. One look into an index for each follower that is behind. Clocks may differ by a little.
select
    asked.name,
    coalesce(reached.position, 0),
    greatest(0, head.position - coalesce(reached.position, 0)),
    coalesce(
        (
            select greatest(
                0.0, extract(epoch from now() - (convert_from(waiting.state, 'UTF8')::json ->> 'at')::timestamptz)
            )
            from public.order_events waiting where waiting.notification_id = coalesce(reached.position, 0) + 1
        ), 0
    )::float8
from unnest(%(names)s::text[]) with ordinality as asked (name, place)
left join public.follower_checkpoint reached on reached.name = asked.name
cross join (select coalesce(max(notification_id), 0) from public.order_events) as head (position)
order by asked.place

-- name: database
select pg_database_size(current_database()), (select count(*) from pg_stat_activity where datname = current_database())
