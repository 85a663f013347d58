-- A mail that had nothing left to say when its turn came is no failure. And whoever looks at a user sees whether the
-- mail server refuses that user's address: a refusal with no later mail that was taken.
alter table mail_delivery drop constraint mail_delivery_status_check;
alter table mail_delivery add constraint mail_delivery_status_check
  check (status in ('queued', 'sent', 'refused', 'failed', 'moot'));
create index mail_delivery_taken on mail_delivery (tenant_id, recipient, position) where status in ('sent', 'refused');
