import { Button, NativeSelect, Switch } from "@mantine/core";
import { useCallback, useEffect, useMemo } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { EndpointFilter, EndpointStatus, OperatingSystem } from "../../gql/graphql";
import { useLive, useLook } from "../../graphql/hooks";
import { useFilters } from "../../parts/filters";
import { Card } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Section } from "../../parts/section";
import { Empty, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { EndpointTag, spell, Tag } from "../../parts/tags";
import { count, When } from "../../parts/time";
import { Visible } from "../../parts/visible";

const EndpointsLook = graphql(`
  query Endpoints($filter: EndpointFilter, $search: String, $after: String) {
    endpoints(filter: $filter, search: $search, first: 50, after: $after) {
      nodes {
        id name status os osVersion agentVersion lastSeenAt offeredSnapshot appliedSnapshot queueLength reregistered gaps reusedNumbers
        deploymentGroup { id name }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const GroupsLook = graphql(`
  query GroupNames {
    deploymentGroups { id name }
  }
`);
const StatusRang = graphql(`
  subscription EndpointRang {
    endpointStatusChanged { id status }
  }
`);

const names = ["group", "status", "os", "behind", "q"] as const;

export function Endpoints() {
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [values, restart]);
  const filter = useMemo<EndpointFilter>(
    () => ({
      ...(values.group ? { deploymentGroupId: values.group } : {}),
      ...(values.status ? { statuses: [values.status as EndpointStatus] } : {}),
      ...(values.os ? { os: [values.os as OperatingSystem] } : {}),
      ...(values.behind ? { behindOnly: true } : {}),
    }),
    [values],
  );
  const look = useLook(EndpointsLook, { filter, search: values.q || null, after: cursor.after }, { names: ["Endpoint"] });
  const groups = useLook(GroupsLook, {}, { names: ["DeploymentGroup"] });
  const { reload } = look;
  useLive(StatusRang, useCallback(() => reload(), [reload]));
  return (
    <Section of="fleet" title="Endpoints" about="Machines that run the agent, and which policies they hold.">
      <div className="filters">
        <SearchBox label="Search" placeholder="Name, machine, account…" value={values.q} onChange={(text) => set("q", text)} />
        <NativeSelect label="Group" value={values.group} onChange={(event) => set("group", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...(groups.data?.deploymentGroups ?? []).map((group) => ({ value: group.id, label: group.name }))]} />
        <NativeSelect label="Status" value={values.status} onChange={(event) => set("status", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...(["ONLINE", "OFFLINE", "OUTDATED", "NEVER_SEEN", "REMOVED"] as const).map((value) => ({ value, label: spell(value) }))]} />
        <NativeSelect label="System" value={values.os} onChange={(event) => set("os", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...(["WINDOWS", "MACOS", "LINUX"] as const).map((value) => ({ value, label: spell(value) }))]} />
        <Switch className="filters__fixed switch-line" label="Behind only" checked={values.behind !== ""} onChange={(event) => set("behind", event.currentTarget.checked ? "1" : "")} />
      </div>
      <Card flush>
        <Ready look={look}>
          {({ endpoints }) =>
            endpoints.nodes.length === 0 ? (
              any ? (
                <Empty title="No endpoint fits these filters" action={<Button variant="default" onClick={clear}>Clear filters</Button>} />
              ) : (
                <Empty title="No endpoint has registered yet" action={<Button component={Link} to="/endpoints/groups">Go to deployment groups</Button>}>
                  Create a deployment package for a group and run the agent with it.
                </Empty>
              )
            ) : (
              <Table
                caption="Endpoints"
                rows={endpoints.nodes}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Name",
                    bare: true,
                    cell: (row) => (
                      <div>
                        <Link className="table__main" to={`/endpoints/${row.id}`}>
                          <Visible text={row.name} />
                        </Link>
                        <div className="soft small">
                          {spell(row.os)} {row.osVersion}
                        </div>
                      </div>
                    ),
                  },
                  { label: "Status", cell: (row) => <EndpointTag status={row.status} /> },
                  { label: "Group", cell: (row) => row.deploymentGroup.name },
                  { label: "Snapshot", cell: (row) => <Snapshot offered={row.offeredSnapshot} applied={row.appliedSnapshot} /> },
                  { label: "Agent", cell: (row) => row.agentVersion ?? <span className="soft">Unknown</span> },
                  { label: "Seen", cell: (row) => (row.lastSeenAt ? <When at={row.lastSeenAt} /> : <span className="soft">Never</span>) },
                  {
                    label: "Remarks",
                    cell: (row) => (
                      <span className="chips">
                        {row.reregistered && <Tag tone="warn">Registered again</Tag>}
                        {row.gaps > 0 && <Tag tone="bad">Records missing</Tag>}
                        {row.reusedNumbers > 0 && <Tag tone="bad">Restored or cloned</Tag>}
                        {(row.queueLength ?? 0) > 0 && <Tag>{row.queueLength} waiting</Tag>}
                        {!row.reregistered && row.gaps === 0 && row.reusedNumbers === 0 && !row.queueLength && <span className="soft">None</span>}
                      </span>
                    ),
                  },
                ]}
              />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.endpoints.pageInfo} total={look.data.endpoints.totalCount} />}
    </Section>
  );
}

/** Which snapshot an endpoint holds against the one its group offers. */
export function Snapshot({ offered, applied }: { offered?: number | null; applied?: number | null }) {
  if (applied == null) return <Tag tone={offered == null ? "neutral" : "warn"}>{offered == null ? "None offered" : "Not applied yet"}</Tag>;
  return applied === offered ? (
    <Tag tone="good">Version {count(applied)}</Tag>
  ) : (
    <Tag tone="warn">
      Version {count(applied)}, offered {offered == null ? "none" : count(offered)}
    </Tag>
  );
}
