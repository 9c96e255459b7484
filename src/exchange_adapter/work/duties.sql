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
-- Not those that wait for a later time, nor those that only a person can help (policy.can_go_on): `doubts_go_on` and
-- `cancels` say what this venue can do. Each part reads the oldest of its own index, whose predicate it repeats, so that
-- what is held, however much, is never walked over. Of what the reader has seen, up to position `after` at `since`,
-- only what has fallen due meanwhile.
select distinct on (since_position, order_id) order_id, shard, since_position, position, version, delivery, symbol,
    attempts, failures, pending_cancel, pending_replace, unwanted, not_before, expires_at, worker, attempted_at, reason
from (
    (select * from public.adapter_duties
    where (delivery in ('queued', 'sending') or (delivery = 'acked' and pending_replace))
        and shard = any(%(shards)s) and (not_before is null or not_before <= %(now)s)
        and (position > %(after)s or not_before > %(since)s)
    order by since_position limit %(limit)s)
    union all
    (select * from public.adapter_duties
    where (pending_cancel or unwanted) and %(cancels)s
        and shard = any(%(shards)s) and (not_before is null or not_before <= %(now)s)
        and (position > %(after)s or not_before > %(since)s)
    order by since_position limit %(limit)s)
    union all
    (select * from public.adapter_duties
    where delivery = 'in_doubt' and delivery in ('in_doubt', 'parked') and %(doubts_go_on)s
        and shard = any(%(shards)s) and (not_before is null or not_before <= %(now)s)
        and (position > %(after)s or not_before > %(since)s)
    order by since_position limit %(limit)s)
    union all
    (select * from public.adapter_duties
    where delivery in ('queued', 'parked') and expires_at <= %(now)s
        and shard = any(%(shards)s)
        and (position > %(after)s or expires_at > %(since)s)
    order by expires_at limit %(limit)s)
) as found
order by since_position, order_id

-- name: claim_request
insert into public.adapter_sent_requests (request_id, order_id, worker) values (%(request_id)s, %(order_id)s, %(worker)s)
on conflict (request_id) do nothing returning request_id
