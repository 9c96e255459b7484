-- name: session
-- What bounds every statement of a session, whatever the role's or the server's defaults are. A commit waits for the
-- disk at least, and for the standbys where the server has any; one that need not be durable waits for nothing.
select
    set_config('statement_timeout', %(statement_ms)s, false),
    set_config('lock_timeout', %(lock_ms)s, false),
    set_config('idle_in_transaction_session_timeout', %(statement_ms)s, false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('synchronous_commit',
        case when not %(durable)s then 'off'
        when current_setting('synchronous_commit') in ('off', 'local') then 'on'
        else current_setting('synchronous_commit') end, false)

-- name: append
select head, dropped from public.append_events(%b, %b::bigint[], %b, %b)

-- name: stored_and_durable
-- Where the units of an attempt in doubt stand. The message makes this a transaction that is logged, so that its commit
-- waits for disk and standbys, and with it for everything committed before it.
with barrier as materialized (select pg_logical_emit_message(true, 'order_events', 'settled'))
select e.originator_id, e.originator_version, e.notification_id, e.state
from barrier, unnest(%s::uuid[], %s::bigint[]) as asked (stream, version)
join public.order_events e on e.originator_id = asked.stream and e.originator_version = asked.version

-- name: read_stream
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where originator_id = %s and originator_version > %s
order by originator_version
limit %s

-- name: read_last
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where originator_id = %s
order by originator_version desc
limit 1

-- name: read_last_as_of
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where originator_id = %s and notification_id <= %s
order by originator_version desc
limit 1

-- name: read_log
select notification_id, originator_id, originator_version, topic, state
from public.order_events
where notification_id > %s
order by notification_id
limit %s

-- name: head
select coalesce(max(notification_id), 0) from public.order_events
