-- name: link
-- Hashes the stored bytes where they are. No row: the events are not all there, or no link ends before them; then the
-- chain cannot be continued. The digests leave the position out, so that events which changed places are recognized.
with predecessor as (
    select hash from public.hash_chain where last_position = %(after)s
    union all
    select decode(repeat('00', 32), 'hex') where %(after)s = 0
),
events as (
    select
        count(*) as number,
        string_agg(
            sha256(
                uuid_send(originator_id) || int8send(originator_version)
                || int4send(octet_length(convert_to(topic, 'UTF8'))) || convert_to(topic, 'UTF8')
                || int4send(octet_length(state)) || state
            ),
            ''::bytea order by notification_id
        ) as digests
    from public.order_events
    where notification_id > %(after)s and notification_id <= %(to)s
)
insert into public.hash_chain (first_position, last_position, previous, event_digests, hash)
select
    %(after)s + 1, %(to)s, predecessor.hash, events.digests,
    sha256(predecessor.hash || int8send(%(after)s + 1) || events.digests)
from predecessor, events
where events.number = %(to)s - %(after)s
returning hash

-- name: catch_up
-- Not where another one has moved it meanwhile.
update public.follower_checkpoint set position = %(to)s where name = %(name)s and position = %(from)s

-- name: head
select last_position, hash from public.hash_chain order by last_position desc limit 1
