-- name: try_lock
-- Held by the session: it ends with the connection.
select pg_try_advisory_lock(hashtextextended('follower ' || %s, 0))

-- name: add_checkpoint
insert into public.follower_checkpoint (name) values (%s) on conflict (name) do nothing

-- name: read_checkpoint
select position, generation from public.follower_checkpoint where name = %s

-- name: move_checkpoint
-- No row: someone else has moved it, or a rebuild has raised the generation. The notification is a hint, given with the
-- commit: who waits for this follower need not poll.
with moved as (
    update public.follower_checkpoint set position = %(to)s
    where name = %(name)s and position = %(from)s and generation = %(generation)s
    returning name, position
)
select case when %(announced)s then pg_notify('orders_followers', name || ':' || position) end from moved

-- name: bound_transactions
-- PostgreSQL 17 and newer end a whole transaction; older ones each statement, and each wait between two.
select set_config('transaction_timeout', %s, false) where current_setting('server_version_num')::int >= 170000

-- name: tell_failure
-- Since when it fails is kept while it stands at the same event.
insert into public.follower_failure (name, position, reason) values (%(name)s, %(position)s, %(reason)s)
on conflict (name) do update set
    position = excluded.position,
    reason = excluded.reason,
    since = case when follower_failure.position = excluded.position then follower_failure.since else now() end

-- name: told_failure
select position, reason from public.follower_failure where name = %s

-- name: end_failure
delete from public.follower_failure where name = %s
