-- name: server
select current_setting('server_version_num')::int, current_setting('server_version'), current_setting('fsync'),
    pg_is_in_recovery()

-- name: try_to_write
-- A row of a new table needs a place on the disk, as the next order does. It is rolled back.
create temporary table doctor_tries_to_write on commit drop as select 1 as number

-- name: bound
-- A table that someone has locked must not hold the diagnosis up.
select set_config('statement_timeout', %(ms)s, false), set_config('lock_timeout', %(ms)s, false)

-- name: followers
-- Each follower's checkpoint, the log's head, whether a session holds the follower's lock (orders/follower.sql), and
-- where it has stopped, if it has.
select
    asked.name,
    reached.position,
    (select coalesce(max(notification_id), 0) from public.order_events),
    public.lock_holder('follower ' || asked.name) is not null,
    failure.position, failure.reason, to_char(failure.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')
from (select unnest(%(names)s::text[]) as name union select name from public.follower_checkpoint) as asked
left join public.follower_checkpoint reached on reached.name = asked.name
left join public.follower_failure failure on failure.name = asked.name
order by asked.name

-- name: hash_chain
-- Its head, and the log's, of one snapshot.
select coalesce(chain.last_position, 0), chain.hash, log.head
from (select coalesce(max(notification_id), 0) as head from public.order_events) as log
left join (select last_position, hash from public.hash_chain order by last_position desc limit 1) as chain on true

-- name: held_up
-- Orders that are in doubt or parked, those apart that need a person, and the oldest of each with its reason.
select delivery, needs_person, count(*), (array_agg(order_id order by since_position))[1],
    (array_agg(reason order by since_position))[1]
from public.adapter_duties
cross join lateral (
    select delivery = 'parked' or exists (
        select from public.adapter_alerts where key = order_id::text and kind = 'order_held'
    )
) as judged (needs_person)
where delivery in ('in_doubt', 'parked') group by delivery, needs_person order by needs_person desc, delivery

-- name: alerts
select kind, count(*) from public.adapter_alerts group by kind order by kind

-- name: workers
-- The adapter processes, and how long ago each told of itself.
select worker, extract(epoch from now() - seen_at)::float8 from public.adapter_workers order by started_at, worker
