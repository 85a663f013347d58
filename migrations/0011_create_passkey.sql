-- Passkeys (WebAuthn credentials) and the challenges that wait for an answer. State: key material and authenticators'
-- own ids stand here alone, wrapped under the tenant's data key; the log knows a passkey by an id of ours.

create table passkey (
  tenant_id uuid not null,
  user_id uuid not null,
  id uuid not null,
  name text not null,
  -- SHA-256 of the credential's id, which is personal: enough to find it again, and to keep it unique.
  credential_hash bytea not null check (octet_length(credential_hash) = 32),
  -- Credential id, public key and backup state.
  wrapped bytea not null,
  -- The highest counter that the authenticator gave; it only goes up. 0 where it keeps none.
  sign_count bigint not null default 0,
  created_at timestamptz not null,
  last_used_at timestamptz,
  -- The counter went back: refused until it is removed.
  flagged_at timestamptz,
  primary key (tenant_id, user_id, id),
  unique (tenant_id, credential_hash)
);

create table passkey_challenge (
  tenant_id uuid not null,
  user_id uuid not null,
  purpose text not null,
  -- SHA-256 of what the answer may be used for: the session, or the request and its digest.
  binding bytea not null check (octet_length(binding) = 32),
  wrapped bytea not null,
  expires_at timestamptz not null,
  primary key (tenant_id, user_id, purpose, binding)
);

select set_apart(t) from unnest(array['passkey', 'passkey_challenge']::regclass[]) t;

alter table session
  -- With which second factor `stepped_up_at` was.
  add column stepped_up_by text,
  -- When the password was last given again in this session, by somebody without a second factor.
  add column proved_at timestamptz;
