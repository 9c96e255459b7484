-- name: bound
-- It waits little for others, since others wait for what it holds. Only the swap's own commit is one that was promised.
select set_config('lock_timeout', %s, true), set_config('synchronous_commit', 'on', true)

-- name: lock_checkpoint
-- A follower's transaction holds the row from its last statement to its commit; one that comes now waits for ours, and
-- then finds another generation.
select position, generation from public.follower_checkpoint where name = %s for update

-- name: add_checkpoint
insert into public.follower_checkpoint (name) values (%s) on conflict (name) do nothing

-- name: set_checkpoint
-- The notification is given with the commit, as a follower's is: who waits for this position need not poll.
with moved as (
    update public.follower_checkpoint set position = %(position)s, generation = generation + 1
    where name = %(name)s
    returning name, position, generation
)
select generation, pg_notify('orders_followers', name || ':' || position) from moved
