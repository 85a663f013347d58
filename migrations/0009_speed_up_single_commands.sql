-- Appends and loads of a single command, which is what a tenant with little to do sends, without the machinery of a
-- batch; and plans that do not depend on statistics which a young tenant's tables do not have yet.

-- A check is parsed anew for every statement that inserts. Rows of these tables are made by `append_batch` alone, which
-- gives positive numbers and looks at the leaf itself; `verify` finds whatever else might get in.
alter table events drop constraint events_position_check, drop constraint events_stream_version_check,
  drop constraint events_schema_version_check, drop constraint events_leaf_check;
alter table stream drop constraint stream_version_check;
alter table tenant_head drop constraint tenant_head_position_check;

-- Called for every statement of a reader: the plan of a PL/pgSQL function is kept, that of an SQL function is not.
create or replace function live_build(p_projection text) returns integer language plpgsql stable parallel safe as $$
begin
  return (select build from projection_checkpoint
    where tenant_id = current_setting('app.tenant')::uuid and projection = p_projection and state = 'live');
end $$;

-- Append -------------------------------------------------------------------------------------------------------------

-- A batch of any size; see append_batch. What is looked up is a subquery for each command: with a join the planner would
-- read the tenant's whole table where it has no statistics.
create function append_many(
  p_tenant uuid,
  c_id uuid[], c_fingerprint bytea[], c_writer uuid[], c_stream_type text[], c_stream_id uuid[], c_expected bigint[],
  e_command integer[], e_type text[], e_schema integer[], e_occurred_at timestamptz[], e_recorded_at timestamptz[],
  e_body bytea[], e_metadata text[], e_leaf bytea[],
  k_command integer[], k_take boolean[], k_space text[], k_value_mac bytea[]
) returns table (
  verdict text, first_position bigint, last_position bigint, stream_version bigint,
  stream_type text, stream_id uuid, writer uuid, claim_space text
) language plpgsql volatile
set plan_cache_mode = force_generic_plan as $$
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
    select c.o, c.fingerprint, c.expected,
      (select d.fingerprint from command d where d.tenant_id = p_tenant and d.id = c.id) as known,
      coalesce((select s.version from stream s where s.tenant_id = p_tenant and s.stream_type = c.stream_type
        and s.stream_id = c.stream_id), 0) as current,
      row_number() over (partition by c.stream_type, c.stream_id order by c.o) > 1
        or row_number() over (partition by c.id order by c.o) > 1 as repeated
    from c
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
  from c left join lateral (select * from command d where d.tenant_id = p_tenant and d.id = c.id offset 0) d
    on c.verdict = 'duplicate'
  order by c.o;
end $$;

-- Appends a batch of commands of one tenant, each with its own verdict:
--   ok           written; first..last are the positions (first = last + 1 where there was no event)
--   duplicate    this command was written before: its positions, version, stream and writer
--   key_reused   the id was used for other content
--   conflict     the stream is not at the expected version, or an earlier command of the batch has the stream or the id
--   claim_taken  a unique value belongs to another stream: the space and the holder
-- c_*: one entry a command. e_*: one entry an event, in order, e_command = the command's index from 1. k_*: one entry
-- a claim change, in order.
create or replace function append_batch(
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
  v_events bigint := cardinality(e_command);
  v_base bigint;
begin
  for i in 1..v_events loop
    if octet_length(e_leaf[i]) <> 32 or e_schema[i] < 1 then
      raise exception 'event % has no leaf of 32 bytes or no schema version', i using errcode = 'check_violation';
    end if;
  end loop;

  if cardinality(c_id) <> 1 then
    return query select * from append_many(p_tenant, c_id, c_fingerprint, c_writer, c_stream_type, c_stream_id,
      c_expected, e_command, e_type, e_schema, e_occurred_at, e_recorded_at, e_body, e_metadata, e_leaf,
      k_command, k_take, k_space, k_value_mac);
    return;
  end if;

  perform set_config('app.tenant', p_tenant::text, true);

  -- Takes the head's lock and the positions. Each later statement takes a new snapshot, which then holds everything that
  -- was committed before the lock was ours.
  update tenant_head h set position = position + v_events where h.tenant_id = p_tenant
    returning h.position - v_events into v_base;
  if not found then
    raise exception 'tenant % has no log', p_tenant using errcode = 'PT404';
  end if;

  select case when d.fingerprint = c_fingerprint[1] then 'duplicate' else 'key_reused' end,
      d.first_position, d.last_position, d.stream_version, d.stream_type, d.stream_id, d.writer
    into verdict, first_position, last_position, stream_version, stream_type, stream_id, writer
    from command d where d.tenant_id = p_tenant and d.id = c_id[1];
  if not found then
    stream_type := c_stream_type[1];
    stream_id := c_stream_id[1];
    stream_version := coalesce((select s.version from stream s
      where s.tenant_id = p_tenant and s.stream_type = c_stream_type[1] and s.stream_id = c_stream_id[1]), 0);
    verdict := case when stream_version = c_expected[1] then 'ok' else 'conflict' end;
    if verdict = 'ok' then
      for i in 1..cardinality(k_command) loop
        if k_take[i] then
          select h.space, h.stream_type, h.stream_id into claim_space, stream_type, stream_id from claim h
            where h.tenant_id = p_tenant and h.space = k_space[i] and h.value_mac = k_value_mac[i]
              and (h.stream_type, h.stream_id) <> (c_stream_type[1], c_stream_id[1]);
          if found then
            verdict := 'claim_taken';
            exit;
          end if;
          stream_type := c_stream_type[1];
          stream_id := c_stream_id[1];
        end if;
      end loop;
    end if;
    if verdict = 'ok' then
      for i in 1..cardinality(k_command) loop
        if k_take[i] then
          insert into claim (tenant_id, space, value_mac, stream_type, stream_id)
            values (p_tenant, k_space[i], k_value_mac[i], c_stream_type[1], c_stream_id[1]) on conflict do nothing;
        else
          delete from claim h where h.tenant_id = p_tenant and h.stream_type = c_stream_type[1]
            and h.stream_id = c_stream_id[1] and h.space = k_space[i];
        end if;
      end loop;
      first_position := v_base + 1;
      last_position := v_base + v_events;
      stream_version := c_expected[1] + v_events;
      for i in 1..v_events loop
        insert into events (tenant_id, position, stream_type, stream_id, stream_version, event_type, schema_version,
            command_id, occurred_at, recorded_at, body, metadata, leaf)
          values (p_tenant, v_base + i, c_stream_type[1], c_stream_id[1], c_expected[1] + i, e_type[i], e_schema[i],
            c_id[1], e_occurred_at[i], e_recorded_at[i], e_body[i], e_metadata[i]::jsonb, e_leaf[i]);
      end loop;
      if v_events > 0 and c_expected[1] = 0 then
        insert into stream (tenant_id, stream_type, stream_id, version)
          values (p_tenant, c_stream_type[1], c_stream_id[1], v_events);
      elsif v_events > 0 then
        update stream s set version = c_expected[1] + v_events where s.tenant_id = p_tenant
          and s.stream_type = c_stream_type[1] and s.stream_id = c_stream_id[1];
      end if;
      insert into command (tenant_id, id, fingerprint, writer, stream_type, stream_id, first_position, last_position,
          stream_version)
        values (p_tenant, c_id[1], c_fingerprint[1], c_writer[1], c_stream_type[1], c_stream_id[1], v_base + 1,
          v_base + v_events, c_expected[1] + v_events);
    end if;
  end if;
  if verdict <> 'ok' and v_events > 0 then
    -- The positions were not used.
    update tenant_head h set position = v_base where h.tenant_id = p_tenant;
  end if;
  return next;
end $$;

-- Load ---------------------------------------------------------------------------------------------------------------

-- Any number of streams; see load_batch.
create function load_many(
  p_tenant uuid, s_type text[], s_id uuid[], s_known bigint[], s_fingerprint bytea[], s_command uuid[]
) returns table (
  ord integer, kind integer, version bigint, body bytea, event_type text, schema_version integer,
  first_position bigint, last_position bigint, writer uuid, stream_type text, stream_id uuid
) language plpgsql volatile
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  perform set_config('app.tenant', p_tenant::text, true);
  return query with
  s as (
    select u.o::integer as o, u.type, u.id, u.command, n.version as snapshot, n.state,
      greatest(u.known, coalesce(n.version, 0)) as after
    from unnest(s_type, s_id, s_known, s_fingerprint, s_command) with ordinality
        as u (type, id, known, fingerprint, command, o)
      left join lateral (select * from aggregate_snapshot n where n.tenant_id = p_tenant and n.stream_type = u.type
        and n.stream_id = u.id offset 0) n on n.fingerprint = u.fingerprint and n.version > u.known
  )
  select s.o, 0, coalesce((select t.version from stream t where t.tenant_id = p_tenant and t.stream_type = s.type
      and t.stream_id = s.id), 0), null::bytea, null::text, null::integer, null::bigint, null::bigint, null::uuid,
      null::text, null::uuid
    from s
  union all
  select s.o, 1, s.snapshot, s.state, null, null, null, null, null, null, null from s where s.snapshot is not null
  union all
  select s.o, 2, e.stream_version, e.body, e.event_type, e.schema_version, null, null, null, null, null
    from s cross join lateral (select * from events e where e.tenant_id = p_tenant and e.stream_type = s.type
      and e.stream_id = s.id and e.stream_version > s.after offset 0) e
  union all
  select s.o, 3, d.stream_version, d.fingerprint, null, null, d.first_position, d.last_position, d.writer,
      d.stream_type, d.stream_id
    from s cross join lateral (select * from command d where d.tenant_id = p_tenant and d.id = s.command offset 0) d
  order by 1, 2, 3;
end $$;

-- Reads many streams of one tenant, and what became of commands. s_known: the version the caller has; s_fingerprint: of
-- the snapshots it understands (null: none). Rows, in order of ord (the stream's index from 1), kind and version:
--   0  the stream's version (0: no such stream)
--   1  the aggregate snapshot: version, state; only where it is newer than what is known
--   2  an event after both: version, body
--   3  the command was written before: version; first, last, writer, stream and fingerprint (in body)
-- Many streams are read in one snapshot of the database. Of a single one the version is read first, and nothing that is
-- later; the command last, so that a state with its effects never comes without the news that it was written.
create or replace function load_batch(
  p_tenant uuid, s_type text[], s_id uuid[], s_known bigint[], s_fingerprint bytea[], s_command uuid[]
) returns table (
  ord integer, kind integer, version bigint, body bytea, event_type text, schema_version integer,
  first_position bigint, last_position bigint, writer uuid, stream_type text, stream_id uuid
) language plpgsql volatile as $$
#variable_conflict use_column
declare
  v_after bigint := s_known[1];
begin
  if cardinality(s_type) <> 1 then
    return query select * from load_many(p_tenant, s_type, s_id, s_known, s_fingerprint, s_command);
    return;
  end if;

  perform set_config('app.tenant', p_tenant::text, true);
  ord := 1;
  kind := 0;
  select s.version into version from stream s
    where s.tenant_id = p_tenant and s.stream_type = s_type[1] and s.stream_id = s_id[1];
  version := coalesce(version, 0);
  return next;
  if version > v_after then
    -- Whatever comes later than this version is not part of the answer.
    s_known[1] := version;
    if s_fingerprint[1] is not null then
      kind := 1;
      select n.version, n.state into version, body from aggregate_snapshot n
        where n.tenant_id = p_tenant and n.stream_type = s_type[1] and n.stream_id = s_id[1]
          and n.fingerprint = s_fingerprint[1] and n.version > v_after and n.version <= s_known[1];
      if found then
        v_after := version;
        return next;
      end if;
    end if;
    kind := 2;
    for version, body, event_type, schema_version in
      select e.stream_version, e.body, e.event_type, e.schema_version from events e
        where e.tenant_id = p_tenant and e.stream_type = s_type[1] and e.stream_id = s_id[1]
          and e.stream_version > v_after and e.stream_version <= s_known[1]
        order by e.stream_version
    loop
      return next;
    end loop;
  end if;
  if s_command[1] is not null then
    kind := 3;
    select d.stream_version, d.fingerprint, null, null, d.first_position, d.last_position, d.writer, d.stream_type,
        d.stream_id
      into version, body, event_type, schema_version, first_position, last_position, writer, stream_type, stream_id
      from command d where d.tenant_id = p_tenant and d.id = s_command[1];
    if found then
      return next;
    end if;
  end if;
end $$;

do $$
declare
  name text;
begin
  foreach name in array array['append_many', 'load_many'] loop
    execute format('revoke execute on function %s from public', (select p.oid::regprocedure from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' and p.proname = name));
    execute format('grant execute on function %s to portcullis_app', (select p.oid::regprocedure from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' and p.proname = name));
  end loop;
end $$;
