-- State beside the log: what must not be in events, or is not worth one. Backed up with the log, never dropped by a
-- rebuild of read models. Secrets stand here hashed (SHA-256 of 256 random bits, argon2id of passwords) or wrapped
-- under the tenant's data key.

create table user_password (
  tenant_id uuid not null,
  user_id uuid not null,
  -- PHC string, argon2id.
  hash text not null,
  changed_at timestamptz not null,
  primary key (tenant_id, user_id)
);

create table session (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  method text not null,
  address text,
  agent text,
  created_at timestamptz not null,
  seen_at timestamptz not null,
  expires_at timestamptz not null,
  -- When a second factor was last given in this session.
  stepped_up_at timestamptz,
  ended_at timestamptz,
  primary key (tenant_id, id)
);
create index session_by_user on session (tenant_id, user_id, created_at);

create table totp (
  tenant_id uuid not null,
  user_id uuid not null,
  wrapped bytea not null,
  created_at timestamptz not null,
  confirmed_at timestamptz,
  -- The highest time step that was accepted: it is never accepted again.
  last_step bigint not null default 0,
  primary key (tenant_id, user_id)
);

create table recovery_code (
  tenant_id uuid not null,
  user_id uuid not null,
  code_hash bytea not null check (octet_length(code_hash) = 32),
  used_at timestamptz,
  primary key (tenant_id, user_id, code_hash)
);

-- Failed attempts, one row each, per identity and channel; swept after a day.
create table auth_failure (
  tenant_id uuid not null,
  identity uuid not null,
  channel text not null,
  failed_at timestamptz not null,
  n bigint generated always as identity,
  primary key (tenant_id, identity, channel, failed_at, n)
);

create table auth_lock (
  tenant_id uuid not null,
  identity uuid not null,
  channel text not null,
  until timestamptz not null,
  primary key (tenant_id, identity, channel)
);

-- API keys, SCIM tokens, registration tokens, invitations and resets: whatever is shown once.
create table credential (
  tenant_id uuid not null,
  kind text not null,
  id uuid not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  -- The service account, deployment group or user it belongs to.
  owner_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  used_at timestamptz,
  primary key (tenant_id, kind, id)
);
create index credential_owner on credential (tenant_id, owner_id, kind);

-- Assertions of agents that were taken already; swept after their end.
create table agent_assertion (
  tenant_id uuid not null,
  jti uuid not null,
  expires_at timestamptz not null,
  primary key (tenant_id, jti)
);

create table mfa_session (
  tenant_id uuid not null,
  id uuid not null,
  identity uuid not null,
  endpoint uuid not null,
  endpoint_user_mac bytea not null,
  action_type text not null,
  request_id uuid,
  expires_at timestamptz not null,
  primary key (tenant_id, id)
);

-- The platform's own credentials: no tenant, so no row-level security; named in the catalogue test.
create table platform_credential (
  id uuid primary key,
  name text not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  created_at timestamptz not null,
  revoked_at timestamptz
);

do $$
declare
  name text;
begin
  foreach name in array array[
    'user_password', 'session', 'totp', 'recovery_code', 'auth_failure', 'auth_lock', 'credential',
    'agent_assertion', 'mfa_session'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant_apart on %I using (tenant_id = current_setting(''app.tenant'')::uuid)', name);
    execute format('grant select, insert, update, delete on %I to portcullis_app', name);
    execute format('grant select, delete on %I to portcullis_purge', name);
  end loop;
end $$;

grant select, insert, update on platform_credential to portcullis_app;

-- Routing: an agent's assertion names its endpoint and no tenant. Ids only, so no row-level security.
create table endpoint_route (
  endpoint_id uuid primary key,
  tenant_id uuid not null
);
grant select, insert on endpoint_route to portcullis_app;
grant select, delete on endpoint_route to portcullis_purge;
