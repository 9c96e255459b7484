-- name: create
insert into public.api_keys (key_id, digest, account, scopes, name, expires_at)
values (%(key_id)s, %(digest)s, %(account)s, %(scopes)s, %(name)s, %(expires_at)s)

-- name: list
-- Newest first, bounded. PostgreSQL takes times past the year 9999, Python has none: one such row hides no other.
select key_id, account, scopes, name, created_at,
    case when expires_at > '9999-12-30 00:00:00+00' then '9999-12-30 00:00:00+00' else expires_at end,
    revoked_at, last_used_at
from public.api_keys
where (%(account)s::text is null or account = %(account)s)
order by created_at desc, key_id
limit %(most)s

-- name: revoke
-- Once: a second time keeps when it was.
update public.api_keys set revoked_at = coalesce(revoked_at, now()) where key_id = %(key_id)s returning revoked_at

-- name: holding
select key_id, digest, account, scopes from public.api_keys
where key_id = any(%(key_ids)s) and revoked_at is null and (expires_at is null or expires_at > now())

-- name: used
-- Several API processes tell it: one of them writes.
update public.api_keys set last_used_at = now()
where key_id = any(%(key_ids)s) and (last_used_at is null or last_used_at < now() - interval '50 seconds')
