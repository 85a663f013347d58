-- The log and what belongs to it: positions, events, streams, commands, unique claims, aggregate snapshots,
-- projections' checkpoints, due work and keys. Rules and their reasons: docs/eventstore.md.
--
-- Every key and index begins with tenant_id. Every tenant table has row-level security, forced on its owner too.
-- The four routing tables (tenant, tenant_head, projection_checkpoint, tenant_work) hold ids, positions and times only
-- and have none: a worker finds a tenant there, then sets app.tenant for everything else.

-- Roles belong to the whole server, so another database may have made them already, even at this very moment. Both may
-- log in so that a private server needs no further set-up; without a password that is of no use on any other.
do $$
declare
  name text;
begin
  foreach name in array array['portcullis_app', 'portcullis_purge'] loop
    if not exists (select from pg_roles where rolname = name) then
      begin
        execute format('create role %I login nosuperuser nobypassrls nocreatedb nocreaterole', name);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

-- Routing ------------------------------------------------------------------------------------------------------------

create table tenant (
  id uuid primary key,
  slug text not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  status text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
  created_at timestamptz not null
);

-- One narrow row a tenant, changed by every append: no further column, no further index, so that updates stay HOT.
create table tenant_head (
  tenant_id uuid primary key,
  position bigint not null default 0 check (position >= 0)
) with (fillfactor = 50);

create table projection_checkpoint (
  tenant_id uuid not null,
  projection text not null,
  build integer not null,
  position bigint not null default 0 check (position >= 0),
  state text not null default 'live' check (state in ('building', 'live', 'parked', 'retired')),
  -- Effects of events up to here were caused by an earlier build.
  effects_after bigint not null default 0,
  error text,
  parked_at timestamptz,
  parked_position bigint,
  attempts integer not null default 0,
  primary key (tenant_id, projection, build)
) with (fillfactor = 50);

create table tenant_work (
  tenant_id uuid not null,
  kind text not null,
  due_at timestamptz not null,
  leased_until timestamptz,
  primary key (tenant_id, kind)
) with (fillfactor = 50);
create index tenant_work_due on tenant_work (kind, due_at);

-- The log ------------------------------------------------------------------------------------------------------------

create table events (
  tenant_id uuid not null,
  -- 1..head without a gap; the Merkle leaf index plus one.
  position bigint not null check (position > 0),
  stream_type text not null,
  stream_id uuid not null,
  stream_version bigint not null check (stream_version > 0),
  event_type text not null,
  schema_version integer not null check (schema_version > 0),
  command_id uuid not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  -- The canonical bytes (docs/formats.md § 3). Every other column is a copy of something in here.
  body bytea not null,
  metadata jsonb not null,
  leaf bytea not null check (octet_length(leaf) = 32),
  primary key (tenant_id, position),
  unique (tenant_id, stream_type, stream_id, stream_version)
) partition by hash (tenant_id);
create table events_0 partition of events for values with (modulus 4, remainder 0);
create table events_1 partition of events for values with (modulus 4, remainder 1);
create table events_2 partition of events for values with (modulus 4, remainder 2);
create table events_3 partition of events for values with (modulus 4, remainder 3);

create table stream (
  tenant_id uuid not null,
  stream_type text not null,
  stream_id uuid not null,
  version bigint not null check (version > 0),
  primary key (tenant_id, stream_type, stream_id)
) with (fillfactor = 80);

-- Positions of a command without events: last = the head at that time, first = last + 1.
create table command (
  tenant_id uuid not null,
  id uuid not null,
  fingerprint bytea not null,
  -- Random, one per attempt of a writer: tells a writer whether it was its own lost answer.
  writer uuid not null,
  stream_type text not null,
  stream_id uuid not null,
  first_position bigint not null,
  last_position bigint not null,
  stream_version bigint not null,
  primary key (tenant_id, id)
);

create table claim (
  tenant_id uuid not null,
  space text not null,
  value_mac bytea not null check (octet_length(value_mac) = 32),
  stream_type text not null,
  stream_id uuid not null,
  primary key (tenant_id, space, value_mac)
);
create index claim_holder on claim (tenant_id, stream_type, stream_id, space);

create table aggregate_snapshot (
  tenant_id uuid not null,
  stream_type text not null,
  stream_id uuid not null,
  version bigint not null check (version > 0),
  -- Of the aggregate's shape and the upcasters; another one means: ignore.
  fingerprint bytea not null,
  state bytea not null,
  primary key (tenant_id, stream_type, stream_id)
);

-- Keys ---------------------------------------------------------------------------------------------------------------

create table tenant_key (
  tenant_id uuid not null,
  kid text not null,
  purpose text not null,
  status text not null check (status in ('active', 'retiring', 'revoked')),
  -- Under the master key for purpose data, under the tenant's data key for every other. None once revoked.
  wrapped bytea,
  -- Which master key wrapped the data key.
  master_id text,
  public bytea check (octet_length(public) = 32),
  created_at timestamptz not null,
  not_after timestamptz,
  primary key (tenant_id, kid),
  check ((purpose = 'data') = (master_id is not null)),
  check ((wrapped is null) = (status = 'revoked'))
);
create unique index tenant_key_active on tenant_key (tenant_id, purpose) where status = 'active';

create table tenant_key_set (
  tenant_id uuid primary key,
  version bigint not null check (version > 0),
  -- The set as a JWS under the tenant's root key.
  token text not null
);

create table person_key (
  tenant_id uuid not null,
  person_id uuid not null,
  key_version integer not null default 1,
  wrapped bytea,
  destroyed_at timestamptz,
  primary key (tenant_id, person_id),
  check ((wrapped is null) = (destroyed_at is not null))
);

-- Append-only --------------------------------------------------------------------------------------------------------

create function refuse_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_user = 'portcullis_purge' then
    return old;
  end if;
  raise exception '% of % is refused: the log is append-only', lower(tg_op), tg_table_name
    using errcode = 'insufficient_privilege';
end $$;

create trigger events_append_only before update or delete on events
  for each row execute function refuse_change();
create trigger command_append_only before update or delete on command
  for each row execute function refuse_change();

do $$
declare
  name text;
begin
  foreach name in array array['events', 'events_0', 'events_1', 'events_2', 'events_3', 'command'] loop
    execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
      name || '_no_truncate', name);
  end loop;
end $$;

-- Tenants apart --------------------------------------------------------------------------------------------------------

do $$
declare
  name text;
begin
  foreach name in array array[
    'events', 'events_0', 'events_1', 'events_2', 'events_3', 'stream', 'command', 'claim', 'aggregate_snapshot',
    'tenant_key', 'tenant_key_set', 'person_key'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant_apart on %I using (tenant_id = current_setting(''app.tenant'')::uuid)', name);
  end loop;
end $$;

-- Grants -------------------------------------------------------------------------------------------------------------

grant usage on schema public to portcullis_app, portcullis_purge;

grant select, insert, update on tenant, tenant_head to portcullis_app;
grant select, insert, update, delete on projection_checkpoint, tenant_work to portcullis_app;
-- Through the parent only: the partitions themselves are granted to nobody.
grant select, insert on events, command to portcullis_app;
grant select, insert, update on stream, tenant_key, tenant_key_set, person_key to portcullis_app;
grant select, insert, delete on claim to portcullis_app;
grant select, insert, update, delete on aggregate_snapshot to portcullis_app;

grant select, delete on tenant, tenant_head, projection_checkpoint, tenant_work, events, command, stream, claim,
  aggregate_snapshot, tenant_key, tenant_key_set, person_key to portcullis_purge;

-- Append -------------------------------------------------------------------------------------------------------------

-- Appends a batch of commands of one tenant, each with its own verdict:
--   ok           written; first..last are the positions (first = last + 1 where there was no event)
--   duplicate    this command was written before: its positions, version, stream and writer
--   key_reused   the id was used for other content
--   conflict     the stream is not at the expected version, or an earlier command of the batch has the stream or the id
--   claim_taken  a unique value belongs to another stream: the space and the holder
-- c_*: one entry a command. e_*: one entry an event, in order, e_command = the command's index from 1. k_*: one entry
-- a claim change, in order.
create function append_batch(
  p_tenant uuid,
  c_id uuid[], c_fingerprint bytea[], c_writer uuid[], c_stream_type text[], c_stream_id uuid[], c_expected bigint[],
  e_command integer[], e_type text[], e_schema integer[], e_occurred_at timestamptz[], e_recorded_at timestamptz[],
  e_body bytea[], e_metadata text[], e_leaf bytea[],
  k_command integer[], k_take boolean[], k_space text[], k_value_mac bytea[]
) returns table (
  verdict text, first_position bigint, last_position bigint, stream_version bigint,
  stream_type text, stream_id uuid, writer uuid, claim_space text
) language plpgsql volatile as $$
#variable_conflict use_column
declare
  v_base bigint;
  v_verdict text[];
  v_current bigint[];
  -- Of refused claims, by the command's index.
  v_space text[] := '{}';
  v_holder_type text[] := '{}';
  v_holder_id uuid[] := '{}';
  v_o integer;
  v_change record;
  v_taken record;
begin
  perform set_config('app.tenant', p_tenant::text, true);

  -- This statement locks and nothing else. Each later one takes a new snapshot, which then holds everything that was
  -- committed before the lock was ours.
  select h.position into v_base from tenant_head h where h.tenant_id = p_tenant for update;
  if not found then
    raise exception 'tenant % has no log', p_tenant using errcode = 'PT404';
  end if;

  with c as (
    select * from unnest(c_id, c_fingerprint, c_stream_type, c_stream_id, c_expected)
      with ordinality as u (id, fingerprint, stream_type, stream_id, expected, o)
  ), v as (
    select c.o, c.fingerprint, c.expected, d.fingerprint as known, coalesce(s.version, 0) as current,
      row_number() over (partition by c.stream_type, c.stream_id order by c.o) > 1
        or row_number() over (partition by c.id order by c.o) > 1 as repeated
    from c
      left join stream s
        on s.tenant_id = p_tenant and s.stream_type = c.stream_type and s.stream_id = c.stream_id
      left join command d on d.tenant_id = p_tenant and d.id = c.id
  )
  select
    array_agg(case
      when v.known = v.fingerprint then 'duplicate'
      when v.known is not null then 'key_reused'
      when v.repeated or v.expected <> v.current then 'conflict'
      else 'ok' end order by v.o),
    array_agg(v.current order by v.o)
  into v_verdict, v_current from v;

  -- Claims one command after the other, since each may free what the next one takes. Only appends change claims, and
  -- the head's lock lets one append of a tenant run at a time: what is checked here stays true.
  if cardinality(k_command) > 0 then
    for v_o in select distinct k from unnest(k_command) k where v_verdict[k] = 'ok' order by k loop
      select h.space, h.stream_type, h.stream_id into v_taken
        from unnest(k_command, k_take, k_space, k_value_mac) with ordinality as k (o, take, space, value_mac, i)
          join claim h on h.tenant_id = p_tenant and h.space = k.space and h.value_mac = k.value_mac
        where k.o = v_o and k.take and (h.stream_type, h.stream_id) <> (c_stream_type[v_o], c_stream_id[v_o])
        order by k.i limit 1;
      if found then
        v_verdict[v_o] := 'claim_taken';
        v_space[v_o] := v_taken.space;
        v_holder_type[v_o] := v_taken.stream_type;
        v_holder_id[v_o] := v_taken.stream_id;
        continue;
      end if;
      for v_change in
        select k.take, k.space, k.value_mac
          from unnest(k_command, k_take, k_space, k_value_mac) with ordinality as k (o, take, space, value_mac, i)
          where k.o = v_o order by k.i
      loop
        if v_change.take then
          insert into claim (tenant_id, space, value_mac, stream_type, stream_id)
            values (p_tenant, v_change.space, v_change.value_mac, c_stream_type[v_o], c_stream_id[v_o])
            on conflict do nothing;
        else
          delete from claim h where h.tenant_id = p_tenant and h.stream_type = c_stream_type[v_o]
            and h.stream_id = c_stream_id[v_o] and h.space = v_change.space;
        end if;
      end loop;
    end loop;
  end if;

  return query with
  n as (select k as o, count(*) as events from unnest(e_command) k group by k),
  c as (
    select u.*, coalesce(n.events, 0) as events,
      (v_base + sum(case when u.verdict = 'ok' then coalesce(n.events, 0) else 0 end) over (order by u.o))::bigint as last
    from unnest(c_id, c_fingerprint, c_writer, c_stream_type, c_stream_id, v_verdict, v_current) with ordinality
        as u (id, fingerprint, writer, stream_type, stream_id, verdict, current, o)
      left join n on n.o = u.o
  ),
  accepted as (
    select c.*, (c.last - c.events)::bigint as before, (c.current + c.events)::bigint as version
    from c where c.verdict = 'ok'
  ),
  new_events as (
    insert into events (tenant_id, position, stream_type, stream_id, stream_version, event_type, schema_version,
      command_id, occurred_at, recorded_at, body, metadata, leaf)
    select p_tenant, a.before + e.nth, a.stream_type, a.stream_id, a.current + e.nth, e.type, e.schema,
      a.id, e.occurred_at, e.recorded_at, e.body, e.metadata::jsonb, e.leaf
    from accepted a join (
      select x.*, row_number() over (partition by x.o order by x.i) as nth
      from unnest(e_command, e_type, e_schema, e_occurred_at, e_recorded_at, e_body, e_metadata, e_leaf)
        with ordinality as x (o, type, schema, occurred_at, recorded_at, body, metadata, leaf, i)
    ) e on e.o = a.o
  ),
  new_streams as (
    insert into stream (tenant_id, stream_type, stream_id, version)
    select p_tenant, a.stream_type, a.stream_id, a.version from accepted a where a.events > 0
    on conflict (tenant_id, stream_type, stream_id) do update set version = excluded.version
  ),
  new_commands as (
    insert into command (tenant_id, id, fingerprint, writer, stream_type, stream_id, first_position, last_position,
      stream_version)
    select p_tenant, a.id, a.fingerprint, a.writer, a.stream_type, a.stream_id, a.before + 1, a.last, a.version
    from accepted a
  ),
  new_head as (
    update tenant_head h set position = t.last
    from (select max(a.last) as last from accepted a) t where h.tenant_id = p_tenant and t.last > v_base
  )
  select c.verdict,
    case c.verdict when 'ok' then c.last - c.events + 1 when 'duplicate' then d.first_position end,
    case c.verdict when 'ok' then c.last when 'duplicate' then d.last_position end,
    case c.verdict when 'ok' then c.current + c.events when 'duplicate' then d.stream_version else c.current end,
    case c.verdict when 'duplicate' then d.stream_type when 'claim_taken' then v_holder_type[c.o::integer]
      else c.stream_type end,
    case c.verdict when 'duplicate' then d.stream_id when 'claim_taken' then v_holder_id[c.o::integer]
      else c.stream_id end,
    case c.verdict when 'duplicate' then d.writer end,
    v_space[c.o::integer]
  from c left join command d on d.tenant_id = p_tenant and d.id = case when c.verdict = 'duplicate' then c.id end
  order by c.o;
end $$;

-- Load ---------------------------------------------------------------------------------------------------------------

-- Reads many streams of one tenant, and what became of commands, in one snapshot. s_known: the version the caller has;
-- s_fingerprint: of the snapshots it understands (null: none). Rows, in order of ord (the stream's index from 1), kind
-- and version:
--   0  the stream's version (0: no such stream)
--   1  the aggregate snapshot: version, state; only where it is newer than what is known
--   2  an event after both: version, body
--   3  the command was written before: version; first, last, writer, stream and fingerprint (in body)
create function load_batch(
  p_tenant uuid, s_type text[], s_id uuid[], s_known bigint[], s_fingerprint bytea[], s_command uuid[]
) returns table (
  ord integer, kind integer, version bigint, body bytea, event_type text, schema_version integer,
  first_position bigint, last_position bigint, writer uuid, stream_type text, stream_id uuid
) language plpgsql volatile as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant', p_tenant::text, true);
  return query with
  s as (
    select u.o::integer as o, u.type, u.id, u.command, n.version as snapshot, n.state,
      greatest(u.known, coalesce(n.version, 0)) as after
    from unnest(s_type, s_id, s_known, s_fingerprint, s_command) with ordinality
        as u (type, id, known, fingerprint, command, o)
      left join aggregate_snapshot n on n.tenant_id = p_tenant and n.stream_type = u.type and n.stream_id = u.id
        and n.fingerprint = u.fingerprint and n.version > u.known
  )
  select s.o, 0, coalesce(t.version, 0), null::bytea, null::text, null::integer, null::bigint, null::bigint,
      null::uuid, null::text, null::uuid
    from s left join stream t on t.tenant_id = p_tenant and t.stream_type = s.type and t.stream_id = s.id
  union all
  select s.o, 1, s.snapshot, s.state, null, null, null, null, null, null, null from s where s.snapshot is not null
  union all
  select s.o, 2, e.stream_version, e.body, e.event_type, e.schema_version, null, null, null, null, null
    from s join events e on e.tenant_id = p_tenant and e.stream_type = s.type and e.stream_id = s.id
      and e.stream_version > s.after
  union all
  select s.o, 3, d.stream_version, d.fingerprint, null, null, d.first_position, d.last_position, d.writer,
      d.stream_type, d.stream_id
    from s join command d on d.tenant_id = p_tenant and d.id = s.command
  order by 1, 2, 3;
end $$;

-- Keeps an aggregate snapshot unless a newer one is there.
create function keep_snapshot(
  p_tenant uuid, p_type text, p_id uuid, p_version bigint, p_fingerprint bytea, p_state bytea
) returns void language plpgsql volatile as $$
begin
  perform set_config('app.tenant', p_tenant::text, true);
  insert into aggregate_snapshot as kept (tenant_id, stream_type, stream_id, version, fingerprint, state)
    values (p_tenant, p_type, p_id, p_version, p_fingerprint, p_state)
    on conflict (tenant_id, stream_type, stream_id) do update
      set version = excluded.version, fingerprint = excluded.fingerprint, state = excluded.state
      where excluded.version > kept.version;
end $$;

-- Gives a person a key, unless they have one or had one that was destroyed (then wrapped is null).
create function ensure_person_key(p_tenant uuid, p_person uuid, p_wrapped bytea)
returns table (key_version integer, wrapped bytea) language plpgsql volatile as $$
begin
  perform set_config('app.tenant', p_tenant::text, true);
  insert into person_key (tenant_id, person_id, wrapped) values (p_tenant, p_person, p_wrapped)
    on conflict (tenant_id, person_id) do nothing;
  return query select k.key_version, k.wrapped from person_key k where k.tenant_id = p_tenant and k.person_id = p_person;
end $$;

-- Removes everything of a tenant that was marked for it, its log included: the one way in which events ever go. The
-- head goes first, so that no append of the tenant begins any more. Returns the number of rows. A table that the role may
-- not delete from is an error, not a leftover.
create function purge_tenant(p_tenant uuid) returns bigint language plpgsql volatile as $$
declare
  v_table text;
  v_count bigint;
  v_all bigint := 0;
begin
  perform set_config('app.tenant', p_tenant::text, true);
  if not exists (select from tenant t where t.id = p_tenant and t.status = 'deleting') then
    raise exception 'tenant % is not marked for deletion', p_tenant using errcode = 'PT409';
  end if;
  for v_table in
    select c.relname from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
    order by c.relname <> 'tenant_head', c.relname
  loop
    execute format('delete from %I where tenant_id = $1', v_table) using p_tenant;
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
  end loop;
  delete from tenant t where t.id = p_tenant;
  return v_all + 1;
end $$;

revoke execute on function purge_tenant(uuid) from public;
grant execute on function purge_tenant(uuid) to portcullis_purge;

do $$
declare
  signature regprocedure;
begin
  for signature in
    select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'public' and p.proname in ('append_batch', 'load_batch', 'keep_snapshot', 'ensure_person_key')
  loop
    execute format('revoke execute on function %s from public', signature);
    execute format('grant execute on function %s to portcullis_app', signature);
  end loop;
end $$;
