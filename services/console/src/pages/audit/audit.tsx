import { Button, TextInput } from "@mantine/core";
import { useCallback, useEffect, useMemo, useState } from "react";
import { graphql } from "../../gql";
import type { AuditFilter, AuditTrailQuery } from "../../gql/graphql";
import { useLive, useLook } from "../../graphql/hooks";
import { Dialog } from "../../parts/dialog";
import { shown } from "../../parts/escape";
import { useFilters } from "../../parts/filters";
import { Card, Facts, Page } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Empty, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { ActorName, methodOf, Tag } from "../../parts/tags";
import { count, When } from "../../parts/time";
import { Visible } from "../../parts/visible";

const AuditLook = graphql(`
  query AuditTrail($filter: AuditFilter, $search: String, $after: String) {
    auditEvents(filter: $filter, search: $search, first: 50, after: $after) {
      nodes {
        position type streamType streamId streamVersion occurredAt recordedAt authentication address correlationId causationId
        summary data leaf marked
        actor { kind id name }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const Appended = graphql(`
  subscription AuditAppended {
    auditEventAppended { position }
  }
`);

type Event = AuditTrailQuery["auditEvents"]["nodes"][number];

const names = ["q", "type", "subject", "actor", "correlation", "from", "until", "since", "before", "marked"] as const;

export function Audit() {
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const { restart, depth } = cursor;
  useEffect(() => restart(), [values, restart]);
  const filter = useMemo<AuditFilter>(
    () => ({
      ...(values.type ? { types: values.type.split(",").map((type) => type.trim()).filter(Boolean) } : {}),
      ...(values.subject ? { subjectId: values.subject } : {}),
      ...(values.actor ? { actorId: values.actor } : {}),
      ...(values.correlation ? { correlationId: values.correlation } : {}),
      ...positions(values.from, values.until),
      ...moments(values.since, values.before),
      ...(values.marked ? { markedOnly: true } : {}),
    }),
    [values],
  );
  const look = useLook(AuditLook, { filter, search: values.q || null, after: cursor.after }, { names: ["AuditEvent"] });
  const [open, setOpen] = useState<Event>();
  const { reload } = look;
  // Only the first page moves with the log; on the others it would pull the rows from under the reader.
  useLive(Appended, useCallback(() => depth === 0 && reload(), [reload, depth]));
  return (
    <Page title="Audit trail" about="Every event of the organisation, numbered without gaps.">
      <div className="filters">
        <SearchBox label="Search" placeholder="Whole words, or beginnings with *" value={values.q} onChange={(text) => set("q", text)} />
        <SettledInput label="Event type" placeholder="RequestApproved" value={values.type} onChange={(value) => set("type", value)} />
        <SettledInput label="About (id)" placeholder="req_…, pol_…" value={values.subject} onChange={(value) => set("subject", value)} />
        <SettledInput label="From position" inputMode="numeric" value={values.from} onChange={(value) => set("from", value)} />
        <SettledInput label="To position" inputMode="numeric" value={values.until} onChange={(value) => set("until", value)} />
        <SettledInput label="Recorded from" type="datetime-local" value={values.since} onChange={(value) => set("since", value)} />
        <SettledInput label="Recorded before" type="datetime-local" value={values.before} onChange={(value) => set("before", value)} />
        <Button className="filters__fixed" variant={values.marked ? "filled" : "default"} aria-pressed={values.marked !== ""} onClick={() => set("marked", values.marked ? "" : "1")}>
          Marked only
        </Button>
        {any && (
          <Button className="filters__fixed" variant="default" onClick={clear}>
            Clear
          </Button>
        )}
      </div>
      <Card flush>
        <Ready look={look} lines={9}>
          {({ auditEvents }) =>
            auditEvents.nodes.length === 0 ? (
              <Empty title={any ? "No event fits these filters" : "The log is empty"} action={any ? <Button variant="default" onClick={clear}>Clear filters</Button> : undefined} />
            ) : (
              <Table
                caption="Events, newest first"
                rows={auditEvents.nodes}
                rowKey={(row) => row.position}
                columns={[
                  { label: "Position", cell: (row) => <span className="number strong">{count(row.position)}</span> },
                  {
                    label: "What",
                    bare: true,
                    wide: true,
                    cell: (row) => (
                      <div className="stack stack--tight">
                        <Visible text={row.summary} prose />
                        <span className="row small">
                          <span className="mono soft">{row.type}</span>
                          {row.marked && <Tag tone="warn">Marked</Tag>}
                        </span>
                      </div>
                    ),
                  },
                  { label: "Who", cell: (row) => <ActorName actor={row.actor} /> },
                  { label: "Recorded", cell: (row) => <When at={row.recordedAt} exactly /> },
                  {
                    label: "",
                    cell: (row) => (
                      <div className="row row--end">
                        <Button size="compact-sm" variant="default" aria-label={`Open event ${row.position}`} onClick={() => setOpen(row)}>
                          Open
                        </Button>
                      </div>
                    ),
                  },
                ]}
              />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.auditEvents.pageInfo} />}
      <Dialog open={open !== undefined} onClose={() => setOpen(undefined)} title={open ? `Event ${count(open.position)}` : "Event"} wide>
        {open && (
          <EventDetail
            event={open}
            onFilter={(name, value) => {
              setOpen(undefined);
              set(name, value);
            }}
          />
        )}
      </Dialog>
    </Page>
  );
}

/** Positions as typed; what is no positive whole number is left out. */
export function positions(from: string, until: string): Pick<AuditFilter, "fromPosition" | "untilPosition"> {
  const read = (text: string) => (/^[1-9]\d{0,15}$/.test(text.trim()) ? Number(text) : undefined);
  const first = read(from);
  const last = read(until);
  return {
    ...(first !== undefined ? { fromPosition: first } : {}),
    ...(last !== undefined ? { untilPosition: last } : {}),
  };
}

/** Local times as the browser's fields give them (`2026-11-26T10:30`), as moments; what is none is left out. */
export function moments(since: string, before: string): Pick<AuditFilter, "recordedFrom" | "recordedUntil"> {
  const read = (text: string) => (text && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined);
  const first = read(since);
  const last = read(before);
  return {
    ...(first !== undefined ? { recordedFrom: first } : {}),
    ...(last !== undefined ? { recordedUntil: last } : {}),
  };
}

/** A field whose text counts once it is left or Enter is pressed. */
function SettledInput({ value, onChange, ...rest }: { label: string; placeholder?: string; inputMode?: "numeric"; type?: "datetime-local"; value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <TextInput
      {...rest}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={() => text !== value && onChange(text.trim())}
      onKeyDown={(event) => event.key === "Enter" && onChange(text.trim())}
    />
  );
}

function EventDetail({ event, onFilter }: { event: Event; onFilter: (name: "subject" | "correlation" | "actor", value: string) => void }) {
  return (
    <div className="stack">
      <Facts
        items={[
          ["Type", <span key="t" className="mono">{event.type}</span>],
          ["Summary", <Visible key="s" text={event.summary} prose />],
          ["Who", <ActorName key="w" actor={event.actor} />],
          ["Signed in by", event.authentication && methodOf(event.authentication)],
          ["Address", event.address],
          ["Occurred", <When key="o" at={event.occurredAt} exactly />],
          ["Recorded", <When key="r" at={event.recordedAt} exactly />],
          ["About", <span key="a" className="mono">{event.streamType} {event.streamId}, version {event.streamVersion}</span>],
          ["Correlation id", <span key="c" className="mono">{event.correlationId}</span>],
          ["Caused by", event.causationId && <span key="ca" className="mono">{event.causationId}</span>],
          ["Leaf", <span key="l" className="mono">{event.leaf}</span>],
        ]}
      />
      <div className="row">
        <Button size="xs" variant="default" onClick={() => onFilter("subject", event.streamId)}>
          Everything about this object
        </Button>
        <Button size="xs" variant="default" onClick={() => onFilter("correlation", event.correlationId)}>
          What belongs together
        </Button>
        {event.actor.id && (
          <Button size="xs" variant="default" onClick={() => onFilter("actor", event.actor.id ?? "")}>
            Everything by this actor
          </Button>
        )}
      </div>
      <div className="stack stack--tight">
        <h3>Data</h3>
        <div className="code-block">
          <pre>
            {JSON.stringify(event.data, null, 2)
              .split("\n")
              .map((line) => shown(line))
              .join("\n")}
          </pre>
        </div>
      </div>
    </div>
  );
}
