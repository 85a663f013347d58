-- What identity providers see by SCIM: users and groups as they said them, and the tokens they come with. Read models,
-- keyed and set apart as the others.

create table scim_user (
  tenant_id uuid not null,
  build integer not null,
  user_id uuid not null,
  person_id uuid not null,
  -- The aggregate's version: what the ETag is made of.
  version bigint not null,
  -- Personal; null once the person was erased.
  email text,
  email_folded text collate "C",
  name text,
  name_folded text collate "C",
  -- The identity provider's name for them, or the address where none was said.
  user_name_folded text collate "C",
  external_id text collate "C",
  profile json,
  active boolean not null,
  -- Deleted by the identity provider, or erased: not there for it.
  gone boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build, user_id)
);
create index scim_user_user_name on scim_user (tenant_id, build, user_name_folded);
create index scim_user_email on scim_user (tenant_id, build, email_folded);
create index scim_user_external_id on scim_user (tenant_id, build, external_id);

-- Teams that an identity provider keeps. Members are in directory_team_member.
create table scim_group (
  tenant_id uuid not null,
  build integer not null,
  team_id uuid not null,
  version bigint not null,
  name text not null,
  name_folded text collate "C" not null,
  external_id text collate "C",
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build, team_id)
);
create index scim_group_name on scim_group (tenant_id, build, name_folded);
create index scim_group_external_id on scim_group (tenant_id, build, external_id);

create table scim_token (
  tenant_id uuid not null,
  build integer not null,
  token_id uuid not null,
  label text not null,
  role text not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  replaced_by uuid,
  primary key (tenant_id, build, token_id)
);

select set_apart(t) from unnest(array['scim_user', 'scim_group', 'scim_token']::regclass[]) t;

-- Roles by teams stand beside those that were assigned; `roles` is what both make. A new build fills them.
alter table directory_roles add column assigned text[] not null default '{}';
alter table directory_roles add column by_teams text[] not null default '{}';
alter table directory_team add column managed boolean not null default false;
alter table directory_team add column roles text[] not null default '{}';
