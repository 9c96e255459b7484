-- name: others
-- Who else works in this database.
select coalesce(nullif(application_name, ''), 'a session') || ' (' || pid || ')'
from pg_stat_activity
where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()
order by backend_start
