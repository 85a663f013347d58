-- What log_news said, and the kind of each stream: what a process read from read models is current while no stream of the
-- kinds that they are made of has grown.

drop function log_news(uuid, bigint, integer);

-- The position of the log's head first, with no stream; then each later event's position, stream and the stream's kind.
-- The events are left out where there would be more than p_most, or where the log ends before p_after (a restored
-- database).
create function log_news(p_tenant uuid, p_after bigint, p_most integer)
returns table (at_position bigint, changed_stream uuid, changed_type text) language plpgsql volatile as $$
declare
  v_head bigint;
begin
  perform set_config('app.tenant', p_tenant::text, true);
  select h.position into v_head from tenant_head h where h.tenant_id = p_tenant;
  at_position := coalesce(v_head, 0);
  return next;
  if v_head > p_after and v_head - p_after <= p_most then
    -- A position is visible only with all before it: this statement sees the head that was read, or more.
    return query select e.position, e.stream_id, e.stream_type from events e
      where e.tenant_id = p_tenant and e.position > p_after and e.position <= v_head;
  end if;
end $$;

revoke execute on function log_news(uuid, bigint, integer) from public;
grant execute on function log_news(uuid, bigint, integer) to portcullis_app;
