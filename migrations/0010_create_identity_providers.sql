-- Sign-in with identity providers: the read model, client secrets, and sign-ins under way.

create table identity_provider (
  tenant_id uuid not null,
  build integer not null,
  provider_id uuid not null,
  name text not null,
  definition json not null,
  has_secret boolean not null,
  ceiling text not null,
  disabled boolean not null,
  checked_at timestamptz,
  problem text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  removed_at timestamptz,
  primary key (tenant_id, build, provider_id)
);

-- State beside the log: wrapped under the tenant's data key.
create table identity_provider_secret (
  tenant_id uuid not null,
  provider_id uuid not null,
  -- The id by which an event names it.
  secret_id text not null,
  wrapped bytea not null,
  created_at timestamptz not null,
  primary key (tenant_id, provider_id, secret_id)
);

-- Begun in a browser, finished once; swept after their end. The secrets of it are in the browser's cookie alone.
create table oidc_flow (
  tenant_id uuid not null,
  id uuid not null,
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  provider_id uuid not null,
  return_to text not null,
  -- Who it is, where only the one-time code is missing.
  user_id uuid,
  expires_at timestamptz not null,
  primary key (tenant_id, id)
);
create index oidc_flow_end on oidc_flow (tenant_id, expires_at);

select set_apart(t) from unnest(array['identity_provider', 'identity_provider_secret', 'oidc_flow']::regclass[]) t;
