-- The end of a tenant: begun once its grace period is over by its own log, then carried out in batches by the purge role,
-- so that it can be stopped and gone on with at any time. What it was and how far it is stays with the platform.

alter table tenant drop constraint tenant_status_check;
alter table tenant add constraint tenant_status_check
  check (status in ('active', 'suspended', 'deleting', 'purging'));
-- When a deletion that was asked for may begin: a copy of what the tenant's log says.
alter table tenant add column purge_at timestamptz;

-- The platform's own: no tenant's, so no row-level security; named in the catalogue test.
create table tenant_purge (
  -- Of the tenant that was.
  id uuid primary key,
  slug text not null,
  began_at timestamptz not null,
  rows_removed bigint not null default 0,
  finished_at timestamptz
);

grant select on tenant_purge to portcullis_app;
grant select, insert, update on tenant_purge to portcullis_purge;
grant update (status) on tenant to portcullis_purge;
-- `for update` on the head takes a right to change it, though no column ever is.
grant update (position) on tenant_head to portcullis_purge;

drop function purge_tenant(uuid);

-- Begins a deletion: from here on there is no way back. The log decides, not the mark in the routing table: its last word
-- on a deletion has to be a request whose moment has come, and that is a day old at least. The head's lock makes an
-- append that calls the deletion off come before or never; without a head nothing is appended, without keys nothing is
-- read. Begun before, it does nothing.
create function begin_purge(p_tenant uuid, p_now timestamptz) returns void language plpgsql volatile as $$
declare
  v_event record;
begin
  perform set_config('app.tenant', p_tenant::text, true);
  if exists (select from tenant_purge p where p.id = p_tenant) then
    return;
  end if;
  perform from tenant_head h where h.tenant_id = p_tenant for update;
  if exists (select from tenant_purge p where p.id = p_tenant) then
    return;
  end if;
  select e.event_type, e.recorded_at, convert_from(e.body, 'UTF8')::jsonb #>> '{data,purgeAt}' as purge_at into v_event
    from events e
    where e.tenant_id = p_tenant and e.stream_type = 'tenant' and e.stream_id = p_tenant
      and e.event_type in ('TenantDeletionRequested', 'TenantDeletionCancelled')
    order by e.stream_version desc limit 1;
  if not found or v_event.event_type <> 'TenantDeletionRequested' then
    raise exception 'no deletion of tenant % is under way', p_tenant using errcode = 'PT409';
  end if;
  if v_event.purge_at::timestamptz > p_now or v_event.recorded_at + interval '1 day' > p_now then
    raise exception 'the grace period of tenant % lasts until %', p_tenant, v_event.purge_at using errcode = 'PT425';
  end if;
  insert into tenant_purge (id, slug, began_at) select t.id, t.slug, p_now from tenant t where t.id = p_tenant;
  update tenant set status = 'purging' where id = p_tenant;
  delete from tenant_head where tenant_id = p_tenant;
  delete from tenant_key_set where tenant_id = p_tenant;
  delete from tenant_key where tenant_id = p_tenant;
end $$;

-- Removes at most p_limit rows of one table of a tenant whose deletion was begun, and says of which. None left anywhere:
-- the tenant itself goes, and the answer has no table. Tables are found by the catalogue, so that none is forgotten; one
-- that the role may not delete from is an error, not a leftover.
create function purge_batch(p_tenant uuid, p_now timestamptz, p_limit integer)
returns table (purged text, removed bigint) language plpgsql volatile as $$
declare
  v_table text;
  v_count bigint;
begin
  perform set_config('app.tenant', p_tenant::text, true);
  perform from tenant_purge p where p.id = p_tenant for update;
  if not found then
    raise exception 'no deletion of tenant % was begun', p_tenant using errcode = 'PT409';
  end if;
  for v_table in
    select c.relname from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
    order by c.relname
  loop
    -- All rows of a tenant are in one partition, so that a ctid is enough.
    execute format('delete from %1$I where tenant_id = $1
      and ctid = any (array(select ctid from %1$I where tenant_id = $1 limit $2))', v_table) using p_tenant, p_limit;
    get diagnostics v_count = row_count;
    if v_count > 0 then
      update tenant_purge set rows_removed = rows_removed + v_count where id = p_tenant;
      return query select v_table, v_count;
      return;
    end if;
  end loop;
  delete from tenant t where t.id = p_tenant;
  update tenant_purge set finished_at = coalesce(finished_at, p_now) where id = p_tenant;
  return query select null::text, 0::bigint;
end $$;

revoke execute on function begin_purge(uuid, timestamptz), purge_batch(uuid, timestamptz, integer) from public;
grant execute on function begin_purge(uuid, timestamptz), purge_batch(uuid, timestamptz, integer) to portcullis_purge;
