-- name: appear
update public.adapter_unmatched_reports set appeared = true where order_id = any(%(order_ids)s) and not appeared

-- name: note
-- Once each, also where the follower reads the log again.
insert into public.adapter_unmatched_reports (order_id, venue, position, appeared)
select * from unnest(%(order_id)s::uuid[], %(venue)s::text[], %(position)s::bigint[], %(appeared)s::bool[])
on conflict (position) do nothing

-- name: leave
-- The newest ones of a venue stay: an order that has not come for long is another's. What has appeared is matched soon.
delete from public.adapter_unmatched_reports
where venue = %(venue)s and not appeared and position <= (
    select position from public.adapter_unmatched_reports
    where venue = %(venue)s and not appeared
    order by position desc offset %(most)s limit 1
)

-- name: appeared
select order_id, position from public.adapter_unmatched_reports
where appeared and venue = %(venue)s and position > %(after)s order by position limit %(limit)s

-- name: remove
delete from public.adapter_unmatched_reports where position = any(%(positions)s)
