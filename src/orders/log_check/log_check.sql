-- name: session
-- A check reads for as long as the log is long; each statement of it is bounded all the same. The plans must be walks
-- along the index: a sort of the whole log for each batch of it would never end.
select
    set_config('statement_timeout', %(statement_ms)s, false),
    set_config('default_transaction_read_only', 'on', false),
    set_config('enable_sort', 'off', false)

-- name: reach
-- One snapshot: the chain holds nothing that the log does not, and its follower stands where the last link ends. Where it
-- has stopped, and why.
select
    (select coalesce(max(notification_id), 0) from public.order_events),
    coalesce((select max(last_position) from public.hash_chain), 0),
    coalesce((select position from public.follower_checkpoint where name = %(name)s), 0),
    (select position from public.follower_failure where name = %(name)s),
    (select reason from public.follower_failure where name = %(name)s)

-- name: by_position
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where notification_id > %(after)s and notification_id <= %(to)s
order by notification_id
limit %(limit)s

-- name: by_order
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where (originator_id, originator_version) > (%(stream_id)s::uuid, %(version)s::bigint)
    and notification_id <= %(to)s
order by originator_id, originator_version
limit %(limit)s

-- name: links
select first_position, last_position, previous, event_digests, hash
from public.hash_chain
where last_position > %(after)s and last_position <= %(to)s
order by last_position
limit %(limit)s
