-- What agents find on their machines, so that it can be looked through: each different thing once a tenant, and which
-- endpoints have it. State: no event, no rebuild; a report replaces the endpoint's last one. What was reported before
-- this is listed with the next report, within a day.

alter table endpoint_inventory drop column inventory;
-- The operating system's own version text; empty where the agent told none.
alter table endpoint_inventory add column os_version text not null default '';

create table inventory_item (
  tenant_id uuid not null,
  -- Of everything that tells it from others.
  item_id uuid not null,
  -- 'applications', or 'users' for an account that is an administrator.
  kind text not null,
  name text not null,
  name_folded text collate "C" not null,
  -- Of the name and the publisher.
  words text[] not null,
  -- Empty where the agent told none, as the three below.
  publisher text collate "C" not null,
  version text not null,
  path text not null,
  sha256 text not null,
  primary key (tenant_id, item_id)
);
create index inventory_item_name on inventory_item (tenant_id, kind, name_folded, publisher);

create table endpoint_item (
  tenant_id uuid not null,
  item_id uuid not null,
  endpoint_id uuid not null,
  primary key (tenant_id, item_id, endpoint_id)
);
create index endpoint_item_endpoint on endpoint_item (tenant_id, endpoint_id);

select set_apart('inventory_item'::regclass);
select set_apart('endpoint_item'::regclass);
