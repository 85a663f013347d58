import { Button, Checkbox, NativeSelect } from "@mantine/core";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { ActionType, RequestFilter, RequestQueueQuery, RequestSort, RequestStatus } from "../../gql/graphql";
import { useLive, useLook } from "../../graphql/hooks";
import { useLine } from "../../graphql/line";
import { useFilters } from "../../parts/filters";
import { Card, Page } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Empty, Ready } from "../../parts/states";
import { type Column, Pager, Table, useCursor } from "../../parts/table";
import { RequestTag, Risk, spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { BulkDecide, type Chosen } from "./bulk";

const QueueLook = graphql(`
  query RequestQueue($filter: RequestFilter, $sort: RequestSort!, $search: String, $after: String) {
    requests(filter: $filter, sort: $sort, search: $search, first: 25, after: $after) {
      nodes {
        id
        status
        digest
        justification
        riskLevel
        submittedAt
        decidedAt
        occurrences
        viewerCanDecide
        requester { account linked user { id name } }
        action { type machineName application { path } commandLine file }
        deadlines { current }
        flags { code }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

const QueueChanged = graphql(`
  subscription QueueChanged {
    requestQueueChanged { position requestId }
  }
`);

type Row = RequestQueueQuery["requests"]["nodes"][number];

const names = ["status", "type", "mine", "sort", "q"] as const;

const groups: Record<string, RequestStatus[] | undefined> = {
  open: ["PENDING", "ESCALATED"],
  closed: ["APPROVED", "DENIED", "EXPIRED", "CANCELLED"],
  all: undefined,
};

function statusesOf(value: string): RequestStatus[] | undefined {
  if (value === "") return groups.open;
  return value in groups ? groups[value] : [value as RequestStatus];
}

/** What was attempted, in one line: the file or command for those types, the program otherwise. */
export function subject(action: { type: ActionType; application: { path: string }; commandLine?: string | null; file?: string | null }): string {
  if (action.type === "FILE_ACCESS" && action.file) return action.file;
  if (action.type === "COMMAND_LINE" && action.commandLine) return action.commandLine;
  return action.application.path;
}

export function RequestQueue() {
  const viewer = useViewer();
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const [chosen, setChosen] = useState<ReadonlyMap<string, Chosen>>(new Map());
  const { restart } = cursor;
  useEffect(() => restart(), [values, restart]);

  const filter = useMemo<RequestFilter>(
    () => ({
      ...(statusesOf(values.status) ? { statuses: statusesOf(values.status) } : {}),
      ...(values.type ? { actionTypes: [values.type as ActionType] } : {}),
      ...(values.mine === "decide" ? { decidableByViewer: true } : {}),
      ...(values.mine === "own" ? { ownOnly: true } : {}),
    }),
    [values],
  );
  const sort: RequestSort = (values.sort as RequestSort) || "DEADLINE_FIRST";
  const look = useLook(QueueLook, { filter, sort, search: values.q || null, after: cursor.after }, { names: ["Request"] });
  const { reload } = look;
  useLive(QueueChanged, useCallback(() => reload(), [reload]));

  const decides = can(viewer, "decide");
  const reads = can(viewer, "read-all");
  // Members see their own requests alone.
  const whose = [
    { value: "", label: reads ? "Everybody's" : "All you may see" },
    ...(decides ? [{ value: "decide", label: "Mine to decide" }] : []),
    ...(decides || reads ? [{ value: "own", label: "My own" }] : []),
  ];
  const choose = (row: Row, on: boolean) =>
    setChosen((before) => {
      const after = new Map(before);
      if (on && after.size < 100) after.set(row.id, { digest: row.digest, what: subject(row.action) });
      else after.delete(row.id);
      return after;
    });

  const columns: Column<Row>[] = [
    ...(decides
      ? [
          {
            label: "Choose",
            cell: (row: Row) =>
              row.viewerCanDecide ? (
                <Checkbox
                  aria-label={`Choose ${subject(row.action)} of ${row.requester.account}`}
                  checked={chosen.has(row.id)}
                  onChange={(event) => choose(row, event.currentTarget.checked)}
                />
              ) : null,
          },
        ]
      : []),
    {
      label: "What",
      bare: true,
      wide: true,
      cell: (row) => (
        <div className="stack stack--tight">
          <Link to={`/requests/${row.id}`} className="table__main">
            <Visible text={subject(row.action)} />
          </Link>
          <span className="soft small">
            {spell(row.action.type)} on <Visible text={row.action.machineName} />
            {row.occurrences > 1 && <> · asked {row.occurrences} times</>}
          </span>
        </div>
      ),
    },
    {
      label: "Who",
      cell: (row) => (
        <div>
          <div>{row.requester.user?.name ?? <Visible text={row.requester.account} />}</div>
          {!row.requester.linked && <Tag tone="warn">Not linked</Tag>}
        </div>
      ),
    },
    { label: "Risk", cell: (row) => <Risk level={row.riskLevel} /> },
    { label: "Status", cell: (row) => <RequestTag status={row.status} /> },
    { label: "Asked", cell: (row) => <When at={row.submittedAt} /> },
    {
      label: "Due",
      cell: (row) => (row.deadlines.current ? <When at={row.deadlines.current} /> : <span className="soft">Closed</span>),
    },
  ];

  return (
    <Page
      title="Requests"
      about={whose.length > 1 ? "Actions that wait for a person to allow or refuse them, and what became of earlier ones." : "What you asked for on your machines, and what became of it."}
      actions={<LineMark />}
    >
      <div className="filters">
        <SearchBox label="Search" placeholder="Words of the path, command, account…" value={values.q} onChange={(text) => set("q", text)} />
        <NativeSelect
          label="Status"
          value={values.status || "open"}
          onChange={(event) => set("status", event.currentTarget.value === "open" ? "" : event.currentTarget.value)}
          data={[
            { value: "open", label: "Open" },
            { value: "closed", label: "Closed" },
            { value: "all", label: "All" },
            ...(["PENDING", "ESCALATED", "APPROVED", "DENIED", "EXPIRED", "CANCELLED"] as const).map((value) => ({
              value,
              label: spell(value),
            })),
          ]}
        />
        <NativeSelect
          label="Type"
          value={values.type}
          onChange={(event) => set("type", event.currentTarget.value)}
          data={[
            { value: "", label: "Any" },
            ...(["PRIVILEGE_ELEVATION", "FILE_ACCESS", "COMMAND_LINE"] as const).map((value) => ({ value, label: spell(value) })),
          ]}
        />
        {whose.length > 1 && <NativeSelect label="Whose" value={values.mine} onChange={(event) => set("mine", event.currentTarget.value)} data={whose} />}
        <NativeSelect
          label="Order"
          value={sort}
          onChange={(event) => set("sort", event.currentTarget.value === "DEADLINE_FIRST" ? "" : event.currentTarget.value)}
          data={(["DEADLINE_FIRST", "NEWEST_FIRST", "OLDEST_FIRST", "RISK_FIRST"] as const).map((value) => ({
            value,
            label: spell(value),
          }))}
        />
        {any && (
          <Button className="filters__fixed" variant="default" onClick={clear}>
            Clear
          </Button>
        )}
      </div>
      {chosen.size > 0 && (
        <BulkDecide
          chosen={chosen}
          onDecided={(ids) => setChosen((before) => new Map([...before].filter(([id]) => !ids.includes(id))))}
          onDone={() => setChosen(new Map())}
        />
      )}
      <Card flush>
        <Ready look={look}>
          {({ requests }) =>
            requests.nodes.length === 0 ? (
              any ? (
                <Empty title="No request fits these filters" action={<Button variant="default" onClick={clear}>Clear filters</Button>} />
              ) : (
                <Empty title="Nothing is waiting">New requests appear here by themselves.</Empty>
              )
            ) : (
              <Table caption="Requests" rows={requests.nodes} rowKey={(row) => row.id} columns={columns} />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.requests.pageInfo} total={look.data.requests.totalCount} />}
    </Page>
  );
}

function LineMark() {
  const line = useLine();
  return (
    <Tag tone={line === "live" ? "good" : "neutral"}>
      <span className={line === "live" ? "dot dot--good" : "dot"} />
      {line === "live" ? "Live" : "Checked every 12 seconds"}
    </Tag>
  );
}
