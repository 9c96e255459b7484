-- name: read
select order_id, shard, since_position, position, version, delivery, symbol, attempts, failures, pending_cancel,
    pending_replace, unwanted, not_before, expires_at, worker, attempted_at, reason
from public.adapter_duties where order_id = any(%(order_ids)s)

-- name: write
insert into public.adapter_duties (order_id, shard, since_position, position, version, delivery, symbol, attempts,
    failures, pending_cancel, pending_replace, unwanted, not_before, expires_at, worker, attempted_at, reason)
select * from unnest(%(order_id)s::uuid[], %(shard)s::smallint[], %(since_position)s::bigint[], %(position)s::bigint[],
    %(version)s::bigint[], %(delivery)s::text[], %(symbol)s::text[], %(attempts)s::int[], %(failures)s::int[], %(pending_cancel)s::bool[],
    %(pending_replace)s::bool[], %(unwanted)s::bool[], %(not_before)s::timestamptz[], %(expires_at)s::timestamptz[],
    %(worker)s::text[], %(attempted_at)s::timestamptz[], %(reason)s::text[])
on conflict (order_id) do update set
    position = excluded.position, version = excluded.version, delivery = excluded.delivery,
    attempts = excluded.attempts, failures = excluded.failures, pending_cancel = excluded.pending_cancel,
    pending_replace = excluded.pending_replace, unwanted = excluded.unwanted, not_before = excluded.not_before,
    expires_at = excluded.expires_at, worker = excluded.worker, attempted_at = excluded.attempted_at,
    reason = excluded.reason

-- name: remove
delete from public.adapter_duties where order_id = any(%(order_ids)s)

-- name: forget_requests
-- Those of orders of which no request waits any more.
delete from public.adapter_sent_requests where order_id = any(%(order_ids)s)

-- name: due
-- Oldest first. Not those that wait for a later time, nor those that only a person can help (policy.can_go_on): `workable`
-- are the deliveries that go on by themselves at this venue, `cancels` says whether it can cancel.
select order_id, shard, since_position, position, version, delivery, symbol, attempts, failures, pending_cancel,
    pending_replace, unwanted, not_before, expires_at, worker, attempted_at, reason
from public.adapter_duties
where shard = any(%(shards)s) and (
    ((delivery = any(%(workable)s)
            or (delivery = 'acked' and pending_replace)
            or (%(cancels)s and (pending_cancel or unwanted)))
        and (not_before is null or not_before <= %(now)s))
    or (expires_at <= %(now)s and delivery in ('queued', 'parked')))
order by since_position
limit %(limit)s

-- name: claim_request
insert into public.adapter_sent_requests (request_id, order_id, worker) values (%(request_id)s, %(order_id)s, %(worker)s)
on conflict (request_id) do nothing returning request_id
