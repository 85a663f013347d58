-- Recorded actions with what became of them, and with records that came under a number that another record of the
-- endpoint has: one row an event.
alter table activity
  add column result text,
  -- The proof that satisfied the one-time code.
  add column mfa_proof uuid,
  -- The record that has the number already: the endpoint was restored from a copy, or a copy of it runs.
  add column reuses uuid;
alter table activity drop constraint activity_pkey;
drop index activity_position;
alter table activity add primary key (tenant_id, build, position);
create index activity_number on activity (tenant_id, build, endpoint_id, seq, position);

alter table activity_endpoint
  -- Records under numbers that others had, and when the last of them came.
  add column reused bigint not null default 0,
  add column reused_at timestamptz;

-- The body a request was judged on, in hexadecimal, so that it can be judged on it again; none of older requests.
alter table request_queue add column snapshot_sha256 text;
create index request_queue_body on request_queue (tenant_id, build, snapshot_sha256) where snapshot_sha256 is not null;
