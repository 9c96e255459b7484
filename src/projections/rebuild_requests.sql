-- name: ask
-- One that is asked for or under way stays as it is.
insert into public.projection_rebuild as last (name, asked_by) values (%(name)s, %(by)s)
on conflict (name) do update set
    state = 'asked', asked_at = now(), asked_by = excluded.asked_by, started_at = null, ended_at = null, phase = null,
    position = null, target = null, events_per_s = null, outcome = null
where last.state not in ('asked', 'running')

-- name: shown
select state, asked_at, asked_by, started_at, ended_at, phase, position, target, events_per_s, outcome
from public.projection_rebuild
where name = %(name)s

-- name: try_lock
-- One projector at a time carries out what is asked for, as long as it is heard of.
select pg_try_advisory_lock(hashtextextended(%s, 0))

-- name: end_orphan
-- Only who has the right above carries out rebuilds: another projector's is one of a process that has lost that right.
select pg_terminate_backend(pid)
from public.lock_holder('rebuild ' || %(name)s) as held (pid) join pg_stat_activity using (pid)
where pid = %(pid)s and starts_with(application_name, %(by)s)

-- name: next
-- One that is running has lost the projector that ran it, if nobody holds the lock.
select name from public.projection_rebuild
where state in ('asked', 'running') and name = any(%(names)s)
order by asked_at, name

-- name: start
update public.projection_rebuild set state = 'running', started_at = coalesce(started_at, now()) where name = %(name)s

-- name: tell
update public.projection_rebuild set
    phase = %(phase)s, position = %(position)s, target = %(target)s, events_per_s = %(events_per_s)s
where name = %(name)s

-- name: finish
-- What failed stays where it was seen last.
update public.projection_rebuild set
    state = %(state)s, outcome = %(outcome)s, ended_at = now(), phase = null,
    position = coalesce(%(position)s, position), target = coalesce(%(position)s, target),
    events_per_s = coalesce(%(events_per_s)s, events_per_s)
where name = %(name)s
