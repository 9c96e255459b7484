-- name: appear
update public.adapter_unmatched_reports set appeared = true where order_id = any(%(order_ids)s) and not appeared

-- name: count
select count(*) from public.adapter_unmatched_reports

-- name: note
-- Once each, also where the follower reads the log again.
insert into public.adapter_unmatched_reports (order_id, venue, position, appeared)
select * from unnest(%(order_id)s::uuid[], %(venue)s::text[], %(position)s::bigint[], %(appeared)s::bool[])
on conflict (position) do nothing

-- name: appeared
select order_id, position from public.adapter_unmatched_reports
where appeared and venue = %(venue)s and position > %(after)s order by position limit %(limit)s

-- name: remove
delete from public.adapter_unmatched_reports where position = any(%(positions)s)
