-- Read models about what is decided, by whom and where: policies, collections, approval rules, the directory, the fleet,
-- snapshots, recorded actions and figures. Each follows from the log alone and is built anew at will
-- (docs/eventstore.md): rows are keyed (tenant_id, build, …), readers see the build whose checkpoint is live.
--
-- Documents are `json` and not `jsonb`: an endpoint may report any character, and `jsonb` has no place for U+0000.
-- Columns that end in `_folded` are lower-case copies to search and sort by; `words` are the whole words of a name.

-- Policies -------------------------------------------------------------------------------------------------------------

create table policy (
  tenant_id uuid not null,
  build integer not null,
  policy_id uuid not null,
  name text not null,
  name_folded text collate "C" not null,
  words text[] not null,
  policy_type text not null,
  status text not null,
  controls text[] not null,
  -- What its scopes write after `collection:`, in the live document and the staged one.
  collection_refs text[] not null,
  revision integer not null,
  document json not null,
  staged_revision integer,
  staged_document json,
  staged_groups uuid[] not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  updated_by json not null,
  deleted_at timestamptz,
  -- Of the last event.
  position bigint not null,
  primary key (tenant_id, build, policy_id)
);

create table policy_revision (
  tenant_id uuid not null,
  build integer not null,
  policy_id uuid not null,
  revision integer not null,
  change text not null check (change in ('created', 'revised', 'status_set', 'rolled_back', 'staged')),
  rolled_back_to integer,
  status text not null,
  document json not null,
  reason text not null,
  author json not null,
  at timestamptz not null,
  position bigint not null,
  groups uuid[] not null,
  promoted_at timestamptz,
  withdrawn_at timestamptz,
  primary key (tenant_id, build, policy_id, revision)
);

-- Collections, approval rules ------------------------------------------------------------------------------------------

create table collection (
  tenant_id uuid not null,
  build integer not null,
  collection_id uuid not null,
  kind text not null,
  name text not null,
  name_folded text collate "C" not null,
  words text[] not null,
  members json not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build, collection_id)
);
create index collection_name on collection (tenant_id, build, name_folded);

create table approval_rule (
  tenant_id uuid not null,
  build integer not null,
  rule_id uuid not null,
  -- The place in the order in which rules are asked, from 1.
  rank integer not null,
  definition json not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build, rule_id)
);

-- Directory ------------------------------------------------------------------------------------------------------------

create table directory_tenant (
  tenant_id uuid not null,
  build integer not null,
  slug text not null,
  name text not null,
  settings json not null,
  suspended boolean not null,
  purge_at timestamptz,
  epoch integer not null,
  key_set_version bigint not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build)
);

-- Personal columns are null once the person was erased.
create table directory_user (
  tenant_id uuid not null,
  build integer not null,
  user_id uuid not null,
  person_id uuid not null,
  email text,
  email_folded text collate "C",
  name text,
  name_folded text collate "C" not null,
  words text[] not null,
  disabled_at timestamptz,
  source text not null,
  factors text[] not null,
  created_at timestamptz not null,
  last_sign_in_at timestamptz,
  erased_at timestamptz,
  primary key (tenant_id, build, user_id)
);
create index directory_user_email on directory_user (tenant_id, build, email_folded);
create index directory_user_name on directory_user (tenant_id, build, name_folded, user_id);
create index directory_user_person on directory_user (tenant_id, build, person_id);

-- Of users who are more than members.
create table directory_roles (
  tenant_id uuid not null,
  build integer not null,
  user_id uuid not null,
  roles text[] not null,
  primary key (tenant_id, build, user_id)
);

create table directory_person (
  tenant_id uuid not null,
  build integer not null,
  person_id uuid not null,
  account text,
  account_folded text collate "C",
  endpoint_id uuid,
  seen_at timestamptz,
  user_id uuid,
  user_person_id uuid,
  linked_by text,
  linked_at timestamptz,
  erased_at timestamptz,
  primary key (tenant_id, build, person_id)
);
create index directory_person_account on directory_person (tenant_id, build, account_folded);
create index directory_person_user on directory_person (tenant_id, build, user_id);
create index directory_person_endpoint on directory_person (tenant_id, build, endpoint_id);

create table directory_team (
  tenant_id uuid not null,
  build integer not null,
  team_id uuid not null,
  name text not null,
  name_folded text collate "C" not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, build, team_id)
);

create table directory_team_member (
  tenant_id uuid not null,
  build integer not null,
  team_id uuid not null,
  user_id uuid not null,
  primary key (tenant_id, build, team_id, user_id)
);
create index directory_team_member_user on directory_team_member (tenant_id, build, user_id);

create table directory_service_account (
  tenant_id uuid not null,
  build integer not null,
  account_id uuid not null,
  name text not null,
  scopes text[] not null,
  created_at timestamptz not null,
  deleted_at timestamptz,
  primary key (tenant_id, build, account_id)
);

create table directory_api_key (
  tenant_id uuid not null,
  build integer not null,
  key_id uuid not null,
  account_id uuid not null,
  scopes text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, build, key_id)
);
create index directory_api_key_account on directory_api_key (tenant_id, build, account_id);

-- Fleet ----------------------------------------------------------------------------------------------------------------

create table fleet_group (
  tenant_id uuid not null,
  build integer not null,
  group_id uuid not null,
  name text not null,
  name_folded text collate "C" not null,
  created_at timestamptz not null,
  deleted_at timestamptz,
  primary key (tenant_id, build, group_id)
);

create table fleet_token (
  tenant_id uuid not null,
  build integer not null,
  token_id uuid not null,
  group_id uuid not null,
  expires_at timestamptz,
  max_uses integer,
  uses integer not null,
  created_at timestamptz not null,
  created_by json not null,
  revoked_at timestamptz,
  primary key (tenant_id, build, token_id)
);
create index fleet_token_group on fleet_token (tenant_id, build, group_id);

create table fleet_endpoint (
  tenant_id uuid not null,
  build integer not null,
  endpoint_id uuid not null,
  group_id uuid not null,
  token_id uuid not null,
  name text not null,
  name_folded text collate "C" not null,
  words text[] not null,
  os text not null,
  os_version text not null,
  machine_id text not null,
  public_key text not null,
  registered_at timestamptz not null,
  -- The endpoint that had this machine id before, and the one that has it now.
  replaces uuid,
  replaced_by uuid,
  applied_epoch integer,
  applied_version bigint,
  applied_at timestamptz,
  removed_at timestamptz,
  removed_reason text,
  primary key (tenant_id, build, endpoint_id)
);
create index fleet_endpoint_name on fleet_endpoint (tenant_id, build, name_folded, endpoint_id);
create index fleet_endpoint_group on fleet_endpoint (tenant_id, build, group_id);
create index fleet_endpoint_machine on fleet_endpoint (tenant_id, build, machine_id);

-- State: what an agent said of itself the last time. Never in the log, so no rebuild touches it.
create table endpoint_status (
  tenant_id uuid not null,
  endpoint_id uuid not null,
  last_seen_at timestamptz not null,
  agent_version text,
  snapshot_version bigint,
  queue_length integer,
  -- The endpoint's clock minus the server's, in milliseconds.
  clock_skew_ms bigint,
  plugins json not null,
  primary key (tenant_id, endpoint_id)
) with (fillfactor = 50);

-- Snapshots ------------------------------------------------------------------------------------------------------------

-- What snapshots are made of: each policy's renditions and each collection in their shipped, canonical form.
create table snapshot_policy (
  tenant_id uuid not null,
  build integer not null,
  policy_id uuid not null,
  -- Canonical bytes of the engine's SnapshotPolicy; none where the status is off.
  live bytea,
  live_refs text[] not null,
  has_staged boolean not null,
  staged bytea,
  staged_refs text[] not null,
  staged_groups uuid[] not null,
  primary key (tenant_id, build, policy_id)
);

create table snapshot_collection (
  tenant_id uuid not null,
  build integer not null,
  collection_id uuid not null,
  name text not null,
  kind text not null,
  members json not null,
  primary key (tenant_id, build, collection_id)
);

create table snapshot_tenant (
  tenant_id uuid not null,
  build integer not null,
  epoch integer not null,
  -- Canonical bytes.
  baseline bytea not null,
  settings bytea not null,
  primary key (tenant_id, build)
);

create table snapshot_group (
  tenant_id uuid not null,
  build integer not null,
  group_id uuid not null,
  -- What agents are given: the last position that changed it, its hash and how many policies it has.
  version bigint not null,
  sha256 bytea not null check (octet_length(sha256) = 32),
  policies integer not null,
  changed_at timestamptz not null,
  -- What waits for a confirmation.
  held_version bigint,
  held_sha256 bytea check (octet_length(held_sha256) = 32),
  held_policies integer,
  held_at timestamptz,
  -- How many policies there were when the present spell of changes began, and when that was.
  spell_policies integer not null,
  spell_at timestamptz not null,
  primary key (tenant_id, build, group_id)
);

-- State: bodies by their hash, kept as long as a group or a recorded action refers to them. They outlive a rebuild,
-- since a new build may not pass through each body that was served.
create table snapshot_body (
  tenant_id uuid not null,
  sha256 bytea not null check (octet_length(sha256) = 32),
  plain bytea not null,
  zstd bytea not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, sha256)
);
alter table snapshot_body alter column zstd set storage external;

-- Recorded actions -----------------------------------------------------------------------------------------------------

create table activity (
  tenant_id uuid not null,
  build integer not null,
  endpoint_id uuid not null,
  seq bigint not null,
  position bigint not null,
  activity_id uuid not null,
  person_id uuid not null,
  -- By the endpoint's clock, and by the server's.
  at timestamptz not null,
  corrected_at timestamptz not null,
  -- The engine's input and the justification; none once the person was erased.
  input json,
  outcome text not null,
  decision json not null,
  snapshot_epoch integer not null,
  snapshot_version bigint not null,
  -- In hexadecimal, as the agent cited it.
  snapshot_sha256 text not null,
  grant_request_id uuid,
  primary key (tenant_id, build, endpoint_id, seq)
);
create index activity_position on activity (tenant_id, build, position);
create index activity_id on activity (tenant_id, build, activity_id);
create index activity_person on activity (tenant_id, build, person_id);
create index activity_body on activity (tenant_id, build, snapshot_sha256);

create table activity_endpoint (
  tenant_id uuid not null,
  build integer not null,
  endpoint_id uuid not null,
  highest bigint not null,
  stored bigint not null,
  primary key (tenant_id, build, endpoint_id)
);

-- Figures --------------------------------------------------------------------------------------------------------------

create table statistic (
  tenant_id uuid not null,
  build integer not null,
  kind text not null,
  day date not null,
  label text not null,
  count bigint not null,
  primary key (tenant_id, build, kind, day, label)
);

-- Tenants apart, grants ------------------------------------------------------------------------------------------------

do $$
declare
  name text;
begin
  foreach name in array array[
    'policy', 'policy_revision', 'collection', 'approval_rule',
    'directory_tenant', 'directory_user', 'directory_roles', 'directory_person', 'directory_team',
    'directory_team_member', 'directory_service_account', 'directory_api_key',
    'fleet_group', 'fleet_token', 'fleet_endpoint', 'endpoint_status',
    'snapshot_policy', 'snapshot_collection', 'snapshot_tenant', 'snapshot_group', 'snapshot_body',
    'activity', 'activity_endpoint', 'statistic'
  ] loop
    perform set_apart(name::regclass);
  end loop;
end $$;
