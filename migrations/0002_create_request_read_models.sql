-- Read models of requests, timers, mails and the audit trail; and what all read models share.
--
-- A read model's rows are keyed (tenant_id, build, …) and follow from the log alone: they may be dropped and built anew
-- at any time. The mail deliveries at the end are state: a rebuild leaves them alone.

-- Which reducer made a build. Processes of another version leave it alone.
alter table projection_checkpoint add column version integer not null default 1 check (version > 0);
-- Readers see one build. `parked_at` stops a build's cursor; it goes on being read.
create unique index projection_checkpoint_live on projection_checkpoint (tenant_id, projection) where state = 'live';

-- The build that readers see: `where tenant_id = $1 and build = live_build('policies')`. Evaluated once a statement, and
-- in its snapshot. Null, hence no rows, before the projection's first batch.
create function live_build(p_projection text) returns integer language sql stable parallel safe as $$
  select build from projection_checkpoint
  where tenant_id = current_setting('app.tenant')::uuid and projection = p_projection and state = 'live'
$$;
grant execute on function live_build(text) to portcullis_app;

-- Sets one tenant apart from the others in a table, and lets the server's role work on its rows.
create function set_apart(p_table regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('alter table %s force row level security', p_table);
  execute format('create policy tenant_apart on %s using (tenant_id = current_setting(''app.tenant'')::uuid)', p_table);
  execute format('grant select, insert, update, delete on %s to portcullis_app', p_table);
  execute format('grant select, delete on %s to portcullis_purge', p_table);
end $$;
revoke execute on function set_apart(regclass) from public;
