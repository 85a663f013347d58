-- What is on each machine, as its agent last said. State: no event, no rebuild; one row a machine, replaced whole.

create table endpoint_inventory (
  tenant_id uuid not null,
  endpoint_id uuid not null,
  reported_at timestamptz not null,
  -- {osVersion, applications[{name, version, publisher}], administrators[]}
  inventory json not null,
  primary key (tenant_id, endpoint_id)
);

select set_apart('endpoint_inventory'::regclass);

-- So that a server can say whether its database has the schema it needs.
grant select on _sqlx_migrations to portcullis_app;
