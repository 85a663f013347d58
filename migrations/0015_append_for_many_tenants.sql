-- Appends of many tenants in one round trip and one commit: where each of a thousand tenants has a command now and then,
-- the call and the commit cost more than the command.

drop function append_many;
drop function append_batch;

-- As append_batch, of one tenant and in statements for the whole batch: what a command costs is less than there, and what
-- the batch costs is more. What is looked up is a subquery for each command: with a join the planner would read the
-- tenant's whole table where it has no statistics.
create function append_to_one(
  p_wait boolean, p_tenant uuid,
  c_id uuid[], c_fingerprint bytea[], c_writer uuid[], c_stream_type text[], c_stream_id uuid[], c_expected bigint[],
  c_events integer[], c_claims integer[],
  e_type text[], e_schema integer[], e_occurred_at timestamptz[], e_recorded_at timestamptz[],
  e_body bytea[], e_metadata text[], e_leaf bytea[],
  k_take boolean[], k_space text[], k_value_mac bytea[]
) returns table (
  verdict text, first_position bigint, last_position bigint, stream_version bigint,
  stream_type text, stream_id uuid, writer uuid, claim_space text
) language plpgsql volatile
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  -- The command's index of each event and claim change.
  e_command integer[] := array(select u.o from unnest(c_events) with ordinality as u (n, o), generate_series(1, u.n));
  k_command integer[] := array(select u.o from unnest(c_claims) with ordinality as u (n, o), generate_series(1, u.n));
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

  -- These statements lock and nothing else. Each later one takes a new snapshot, which then holds everything that was
  -- committed before the lock was ours.
  if p_wait then
    select h.position into v_base from tenant_head h where h.tenant_id = p_tenant for update;
    if not found then
      raise exception 'tenant % has no log', p_tenant using errcode = 'PT404';
    end if;
  else
    select h.position into v_base from tenant_head h where h.tenant_id = p_tenant for update skip locked;
    if not found then
      return query select 'locked', null::bigint, null::bigint, null::bigint, u.type, u.id, null::uuid, null::text
        from unnest(c_stream_type, c_stream_id) as u (type, id);
      return;
    end if;
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
  c as (
    select u.*, (v_base + sum(case when u.verdict = 'ok' then u.events else 0 end) over (order by u.o))::bigint as last
    from unnest(c_id, c_fingerprint, c_writer, c_stream_type, c_stream_id, c_events, v_verdict, v_current) with ordinality
        as u (id, fingerprint, writer, stream_type, stream_id, events, verdict, current, o)
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

-- Appends commands, one after the other as given, each with its own verdict:
--   ok           written; first..last are the positions (first = last + 1 where there was no event)
--   duplicate    this command was written before: its positions, version, stream and writer
--   key_reused   the id was used for other content
--   conflict     the stream is not at the expected version
--   claim_taken  a unique value belongs to another stream: the space and the holder
--   locked       somebody else appends to this tenant's log: nothing was looked at; send it again with p_wait
-- c_*: one entry a command, a tenant's commands next to each other; c_events and c_claims tell how many of e_* and k_*
-- are a command's. e_*: one entry an event, k_*: one a claim change, each in order.
--
-- A tenant's commands must have different streams and ids: the second of two may be a conflict.
--
-- Without p_wait no head is waited for, so that heads of several tenants can be locked in any order, and a tenant whose
-- head is held delays no other. With p_wait the tenants must be one.
create function append_batch(
  p_wait boolean,
  c_tenant uuid[], c_id uuid[], c_fingerprint bytea[], c_writer uuid[], c_stream_type text[], c_stream_id uuid[],
  c_expected bigint[], c_events integer[], c_claims integer[],
  e_type text[], e_schema integer[], e_occurred_at timestamptz[], e_recorded_at timestamptz[],
  e_body bytea[], e_metadata text[], e_leaf bytea[],
  k_take boolean[], k_space text[], k_value_mac bytea[]
) returns table (
  verdict text, first_position bigint, last_position bigint, stream_version bigint,
  stream_type text, stream_id uuid, writer uuid, claim_space text
) language plpgsql volatile as $$
#variable_conflict use_column
declare
  c record;
  v_tenant uuid;
  -- The head's position when it was locked, none where it was not; and with what was written since.
  v_base bigint;
  v_head bigint;
  -- How many of e_* and k_* belong to earlier commands.
  v_events integer := 0;
  v_claims integer := 0;
begin
  for i in 1 .. cardinality(e_leaf) loop
    if octet_length(e_leaf[i]) <> 32 or e_schema[i] < 1 then
      raise exception 'event % has no leaf of 32 bytes or no schema version', i using errcode = 'check_violation';
    end if;
  end loop;
  if p_wait and c_tenant[1] <> any(c_tenant) then
    raise exception 'only one tenant''s head is waited for' using errcode = 'invalid_parameter_value';
  end if;

  if cardinality(c_id) >= 8 and c_tenant[1] = all(c_tenant) then
    return query select * from append_to_one(p_wait, c_tenant[1], c_id, c_fingerprint, c_writer, c_stream_type,
      c_stream_id, c_expected, c_events, c_claims, e_type, e_schema, e_occurred_at, e_recorded_at, e_body, e_metadata,
      e_leaf, k_take, k_space, k_value_mac);
    return;
  end if;

  -- The row without a tenant, which the longer array makes, ends the last tenant's turn.
  for c in
    select * from unnest(array_append(c_tenant, null), c_id, c_fingerprint, c_writer, c_stream_type, c_stream_id,
        c_expected, c_events, c_claims)
      as u (tenant, id, fingerprint, writer, stream_type, stream_id, expected, events, claims)
  loop
    if c.tenant is distinct from v_tenant then
      if v_head > v_base then
        update tenant_head h set position = v_head where h.tenant_id = v_tenant;
      end if;
      exit when c.tenant is null;
      v_tenant := c.tenant;
      perform set_config('app.tenant', v_tenant::text, true);
      -- These statements lock and nothing else. Each later one takes a new snapshot, which then holds everything that was
      -- committed before the lock was ours.
      if p_wait then
        select h.position into v_base from tenant_head h where h.tenant_id = v_tenant for update;
        if not found then
          raise exception 'tenant % has no log', v_tenant using errcode = 'PT404';
        end if;
      else
        select h.position into v_base from tenant_head h where h.tenant_id = v_tenant for update skip locked;
      end if;
      v_head := v_base;
    end if;

    claim_space := null;
    select case when d.fingerprint = c.fingerprint then 'duplicate' else 'key_reused' end,
        d.first_position, d.last_position, d.stream_version, d.stream_type, d.stream_id, d.writer
      into verdict, first_position, last_position, stream_version, stream_type, stream_id, writer
      from command d where d.tenant_id = v_tenant and d.id = c.id and v_base is not null;
    if not found then
      stream_type := c.stream_type;
      stream_id := c.stream_id;
      stream_version := coalesce((select s.version from stream s where s.tenant_id = v_tenant
        and s.stream_type = c.stream_type and s.stream_id = c.stream_id), 0);
      verdict := case when v_base is null then 'locked' when stream_version <> c.expected then 'conflict' else 'ok' end;
    end if;

    -- Only appends change claims, and the head's lock lets one append of a tenant run at a time: what is checked here
    -- stays true.
    if verdict = 'ok' and c.claims > 0 then
      for i in v_claims + 1 .. v_claims + c.claims loop
        select h.space, h.stream_type, h.stream_id into claim_space, stream_type, stream_id from claim h
          where h.tenant_id = v_tenant and h.space = k_space[i] and h.value_mac = k_value_mac[i] and k_take[i]
            and (h.stream_type, h.stream_id) <> (c.stream_type, c.stream_id);
        if found then
          verdict := 'claim_taken';
          exit;
        end if;
      end loop;
      if verdict = 'ok' then
        stream_type := c.stream_type;
        stream_id := c.stream_id;
        for i in v_claims + 1 .. v_claims + c.claims loop
          if k_take[i] then
            insert into claim (tenant_id, space, value_mac, stream_type, stream_id)
              values (v_tenant, k_space[i], k_value_mac[i], c.stream_type, c.stream_id) on conflict do nothing;
          else
            delete from claim h where h.tenant_id = v_tenant and h.stream_type = c.stream_type
              and h.stream_id = c.stream_id and h.space = k_space[i];
          end if;
        end loop;
      end if;
    end if;

    if verdict = 'ok' then
      for i in v_events + 1 .. v_events + c.events loop
        insert into events (tenant_id, position, stream_type, stream_id, stream_version, event_type, schema_version,
            command_id, occurred_at, recorded_at, body, metadata, leaf)
          values (v_tenant, v_head + i - v_events, c.stream_type, c.stream_id, c.expected + i - v_events, e_type[i],
            e_schema[i], c.id, e_occurred_at[i], e_recorded_at[i], e_body[i], e_metadata[i]::jsonb, e_leaf[i]);
      end loop;
      first_position := v_head + 1;
      last_position := v_head + c.events;
      stream_version := c.expected + c.events;
      if c.events > 0 and c.expected = 0 then
        insert into stream (tenant_id, stream_type, stream_id, version)
          values (v_tenant, c.stream_type, c.stream_id, stream_version);
      elsif c.events > 0 then
        update stream s set version = stream_version where s.tenant_id = v_tenant and s.stream_type = c.stream_type
          and s.stream_id = c.stream_id;
      end if;
      insert into command (tenant_id, id, fingerprint, writer, stream_type, stream_id, first_position, last_position,
          stream_version)
        values (v_tenant, c.id, c.fingerprint, c.writer, c.stream_type, c.stream_id, first_position, last_position,
          stream_version);
      v_head := last_position;
    end if;
    v_events := v_events + c.events;
    v_claims := v_claims + c.claims;
    return next;
  end loop;
end $$;

do $$
declare
  signature regprocedure;
begin
  for signature in select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'public' and p.proname in ('append_batch', 'append_to_one')
  loop
    execute format('revoke execute on function %s from public', signature);
    execute format('grant execute on function %s to portcullis_app', signature);
  end loop;
end $$;
