-- name: join
-- Shared: any number of workers hold it, and pg_locks shows who does. It ends with the connection, so that a dead worker
-- is known to be dead at once.
select pg_try_advisory_lock_shared(%(space)s, %(living)s)

-- name: leave
select pg_advisory_unlock_shared(%(space)s, %(living)s)

-- name: tell
-- A row with our backend's number and another name is of a dead worker that had the number before.
with replaced as (delete from public.adapter_workers where backend_pid = pg_backend_pid() and worker <> %(worker)s)
insert into public.adapter_workers as known
    (worker, venue, backend_pid, other_pids, shards, reads_reports, figures)
values (%(worker)s, %(venue)s, pg_backend_pid(), %(other_pids)s, %(shards)s, %(reports)s, %(figures)s)
on conflict (worker) do update set
    backend_pid = excluded.backend_pid, other_pids = excluded.other_pids, seen_at = now(), shards = excluded.shards,
    reads_reports = excluded.reads_reports, figures = excluded.figures

-- name: connected
-- Workers whose connection stands, in the order in which they came; `living` are those of this venue that take a share.
-- Advisory locks of two numbers have objsubid 2.
select w.worker, w.seen_at, w.venue = %(venue)s and bool_or(l.objid = %(living)s::oid) as living
from pg_locks l join public.adapter_workers w on w.backend_pid = l.pid
where l.locktype = 'advisory' and l.classid = %(space)s::oid and l.objsubid = 2 and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
group by w.worker, w.seen_at, w.venue, w.started_at
order by w.started_at, w.worker

-- name: end_frozen
-- Ends the connections of a worker, if it has still not told of itself and they are still the ones that it told of: they
-- were there before it told last, and hold an advisory lock in this database.
select pg_terminate_backend(a.pid)
from public.adapter_workers w join pg_stat_activity a on a.pid = w.backend_pid or a.pid = any(w.other_pids)
where w.worker = %(worker)s and w.seen_at = %(seen_at)s and a.backend_start <= w.seen_at
    and a.datname = current_database()
    and exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.granted)

-- name: forget
-- Workers that have not told of themselves for long, and whose connection is gone.
delete from public.adapter_workers w
where w.seen_at < now() - make_interval(secs => %(after_s)s)
    and not exists (
        select from pg_locks l
        where l.pid = w.backend_pid and l.locktype = 'advisory' and l.classid = %(space)s::oid and l.granted)

-- name: remove
delete from public.adapter_workers where worker = %(worker)s
