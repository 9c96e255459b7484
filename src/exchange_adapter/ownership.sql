-- name: take
-- Those of the wanted keys that no other session holds. A session's locks end with it.
select key from unnest(%(keys)s::int[]) as key where pg_try_advisory_lock(%(space)s, key) order by key
