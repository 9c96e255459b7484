-- name: orders_as_of
-- The table says which orders there were, newest first: what is asked of it here never changes. The log says how each of
-- them was: its last event up to then, by the primary key. One statement is one snapshot; without rows it returns one line.
select reached.position, found.*
from (values ((select position from projection_order_status.reached))) as reached (position)
left join lateral (
    select candidate.placed_position, candidate.order_id, past.*
    from (
        select placed_position, order_id
        from projection_order_status.orders
        where account = %(account)s and placed_position <= %(as_of)s {filters}
        order by placed_position desc
        limit %(candidates)s
    ) candidate
    cross join lateral (
        select notification_id, originator_version, topic, state
        from public.order_events
        where originator_id = candidate.order_id and notification_id <= %(as_of)s
        order by originator_version desc
        limit 1
    ) past
) found on true
order by found.placed_position desc
