-- name: holder
-- The session that has the lock, and when it was last heard of. A statement that runs is heard of when
-- it ends, which the timeouts see to.
select pid, state_change::text
from public.lock_holder(%s) as held (pid) join pg_stat_activity using (pid)
where state <> 'active'

-- name: end_holder
-- Only if it is still silent.
select pg_terminate_backend(pid) from pg_stat_activity where pid = %s and state_change::text = %s and state <> 'active'

-- name: beat
-- To be heard of.
select 1
