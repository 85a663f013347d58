-- A purge that is over is looked at once more, however long after: a transaction that was under way when the tenant was
-- closed may have written a row since, and whoever runs the purge once a day is not there within the hour.

alter table tenant_purge add column looked_at timestamptz;

create or replace function purge_batch(p_tenant uuid, p_now timestamptz, p_limit integer)
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
  update tenant_purge set finished_at = coalesce(finished_at, p_now), looked_at = p_now where id = p_tenant;
  return query select null::text, 0::bigint;
end $$;
