-- API keys: docs/decisions/0038-who-may-use-it.md. They are no part of the log: a key says who asks, not what happened.
create table public.api_keys (
    key_id text not null,                   -- in the key, between its prefix and its secret
    digest bytea not null,                  -- SHA-256 of the whole key, which is kept nowhere
    account text not null,
    scopes text[] not null,
    name text not null default '',          -- what a person calls it
    created_at timestamptz not null default now(),
    expires_at timestamptz,                 -- null: never
    revoked_at timestamptz,
    last_used_at timestamptz,               -- within a minute
    constraint api_keys_key primary key (key_id),
    constraint api_keys_digest_check check (octet_length(digest) = 32),
    constraint api_keys_account_check check (account ~ '^[!-~]{1,128}$'),
    constraint api_keys_scopes_check check (scopes <@ array['read', 'trade', 'admin'] and cardinality(scopes) > 0)
);
revoke all on public.api_keys from public;
