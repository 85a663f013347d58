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

-- Requests -----------------------------------------------------------------------------------------------------------

-- JSON is `json` and not `jsonb`, which has no place for U+0000: an endpoint may report any character.
create table request_queue (
  tenant_id uuid not null,
  build integer not null,
  request_id uuid not null,
  status text not null,
  action_type text not null,
  endpoint_id uuid not null,
  person_id uuid not null,
  user_id uuid,
  digest_mac text not null,
  -- Action, digest and justification; null once the person was erased.
  details json,
  policies json not null,
  policy_ids uuid[] not null,
  risk integer not null,
  mfa boolean not null,
  access_minutes integer,
  snapshot_epoch integer not null,
  snapshot_version bigint not null,
  route json not null,
  -- The route once more, to be filtered by: users and teams alike.
  primary_ids uuid[] not null,
  secondary_ids uuid[] not null,
  windows json not null,
  flags text[] not null,
  times integer not null default 1,
  previous_id uuid,
  submitted_at timestamptz not null,
  submitted_position bigint not null,
  pending_until timestamptz not null,
  -- The end of the present window, or of the last one.
  deadline timestamptz not null,
  escalated_at timestamptz,
  escalated_until timestamptz,
  escalated_by uuid,
  escalation_reason text,
  settled_at timestamptz,
  settled_by uuid,
  cancel_cause text,
  cancel_reason text,
  grant_status text,
  grant_not_after timestamptz,
  grant_uses integer,
  grant_mfa_pending boolean,
  grant_used integer not null default 0,
  grant_last_used_at timestamptz,
  -- Uses that the grant did not permit.
  grant_overused integer not null default 0,
  grant_ended_at timestamptz,
  grant_ended_by uuid,
  grant_cause text,
  grant_reason text,
  -- Of the last event, and when it was recorded.
  position bigint not null,
  changed_at timestamptz not null,
  primary key (tenant_id, build, request_id)
) with (fillfactor = 80);
create index request_queue_newest on request_queue (tenant_id, build, submitted_position);
create index request_queue_status on request_queue (tenant_id, build, status, submitted_position);
create index request_queue_person on request_queue (tenant_id, build, person_id, submitted_position);
create index request_queue_endpoint on request_queue (tenant_id, build, endpoint_id, submitted_position);
create index request_queue_open on request_queue (tenant_id, build, digest_mac)
  where status in ('pending', 'escalated');
create index request_queue_deadline on request_queue (tenant_id, build, deadline, submitted_position)
  where status in ('pending', 'escalated');
create index request_queue_grants on request_queue (tenant_id, build) where grant_status = 'active';

create table request_decision (
  tenant_id uuid not null,
  build integer not null,
  request_id uuid not null,
  position bigint not null,
  approver_id uuid not null,
  approved boolean not null,
  comment text,
  uses integer,
  grant_minutes integer,
  self_approval boolean not null,
  -- How the approver had proved who they are.
  method text,
  decided_at timestamptz not null,
  primary key (tenant_id, build, request_id, position)
);

-- Words of what requests are about. `~>=~` is leakproof, so that a search for a beginning uses the index under
-- row-level security.
create table request_term (
  tenant_id uuid not null,
  build integer not null,
  term text not null,
  request_id uuid not null
);
create unique index request_term_key on request_term (tenant_id, build, term text_pattern_ops, request_id);

-- Timers -------------------------------------------------------------------------------------------------------------

-- At most one a request: the end of its present window, or of its grant's.
create table escalation_schedule (
  tenant_id uuid not null,
  build integer not null,
  request_id uuid not null,
  kind text not null check (kind in ('pending', 'escalated', 'grant')),
  due_at timestamptz not null,
  -- Of the event that set it: the timer's command gets its id from here.
  position bigint not null,
  primary key (tenant_id, build, request_id)
) with (fillfactor = 80);
create index escalation_schedule_due on escalation_schedule (tenant_id, build, due_at, position);

-- Audit trail --------------------------------------------------------------------------------------------------------

create table audit_trail (
  tenant_id uuid not null,
  build integer not null,
  position bigint not null,
  event_type text not null,
  stream_type text not null,
  stream_id uuid not null,
  stream_version bigint not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  actor_kind text not null,
  actor_id text,
  method text,
  -- In clear; null where there is none or the person was erased.
  address text,
  -- Whose address it is.
  address_person_id uuid,
  correlation_id uuid not null,
  causation bigint,
  data json not null,
  -- The personal fields of data; null once the person was erased.
  personal json,
  person_id uuid,
  -- To be looked at twice: a decision of one's own, an exception, a grant used beyond its limit.
  marked boolean not null,
  leaf bytea not null,
  primary key (tenant_id, build, position)
);
create index audit_trail_stream on audit_trail (tenant_id, build, stream_id, position);
create index audit_trail_actor on audit_trail (tenant_id, build, actor_id, position);
create index audit_trail_type on audit_trail (tenant_id, build, event_type, position);
create index audit_trail_recorded on audit_trail (tenant_id, build, recorded_at, position);
create index audit_trail_person on audit_trail (tenant_id, build, person_id, position) where person_id is not null;
create index audit_trail_address on audit_trail (tenant_id, build, address_person_id, position)
  where address_person_id is not null;
create index audit_trail_marked on audit_trail (tenant_id, build, position) where marked;

create table audit_term (
  tenant_id uuid not null,
  build integer not null,
  term text not null,
  position bigint not null
);
create unique index audit_term_key on audit_term (tenant_id, build, term text_pattern_ops, position);

-- Mails --------------------------------------------------------------------------------------------------------------

-- What has to be told to whom. No address and no name: the notifier looks them up when it sends.
create table mail_outbox (
  tenant_id uuid not null,
  build integer not null,
  position bigint not null,
  n integer not null,
  kind text not null,
  recipient text not null,
  request_id uuid,
  user_id uuid,
  -- Who caused it, and therefore needs no mail.
  by_id uuid,
  at timestamptz not null,
  primary key (tenant_id, build, position, n)
);

-- State: which rows of the outbox still have to be addressed. Made once, together with the row's first build.
create table mail_task (
  tenant_id uuid not null,
  position bigint not null,
  n integer not null,
  status text not null default 'open' check (status in ('open', 'addressed')),
  primary key (tenant_id, position, n)
);
create index mail_task_open on mail_task (tenant_id, position, n) where status = 'open';

-- State: one row a mail.
create table mail_delivery (
  tenant_id uuid not null,
  position bigint not null,
  n integer not null,
  -- A user; the address is looked up at each attempt.
  recipient uuid not null,
  status text not null default 'queued' check (status in ('queued', 'sent', 'refused', 'failed')),
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  last_error text,
  message_id text not null,
  sent_at timestamptz,
  primary key (tenant_id, position, n, recipient),
  check ((status = 'queued') = (next_attempt_at is not null))
);
create index mail_delivery_due on mail_delivery (tenant_id, next_attempt_at) where status = 'queued';

select set_apart(t) from unnest(array['request_queue', 'request_decision', 'request_term', 'escalation_schedule',
  'audit_trail', 'audit_term', 'mail_outbox', 'mail_task', 'mail_delivery']::regclass[]) t;
