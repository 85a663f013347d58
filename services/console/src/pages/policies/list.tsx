import { Button, NativeSelect } from "@mantine/core";
import { useEffect, useMemo } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { Control, PolicyFilter, PolicySort, PolicyStatus, PolicyType } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { useFilters } from "../../parts/filters";
import { Card, Page } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Empty, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { Controls, PolicyTag, Risk, spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";

const PoliciesLook = graphql(`
  query Policies($filter: PolicyFilter, $sort: PolicySort!, $search: String, $after: String) {
    policies(filter: $filter, sort: $sort, search: $search, first: 50, after: $after) {
      nodes {
        id name type status controls exception riskLevel revision updatedAt
        warnings { code level }
        stagedRevision { number }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

const names = ["type", "status", "demands", "sort", "q"] as const;

export function Policies() {
  const viewer = useViewer();
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [values, restart]);
  const filter = useMemo<PolicyFilter>(
    () => ({
      ...(values.type ? { types: [values.type as PolicyType] } : {}),
      ...(values.status ? { statuses: [values.status as PolicyStatus] } : {}),
      ...(values.demands ? { controls: [values.demands as Control] } : {}),
    }),
    [values],
  );
  const sort = (values.sort as PolicySort) || "NAME";
  const look = useLook(PoliciesLook, { filter, sort, search: values.q || null, after: cursor.after }, { names: ["Policy"] });
  const create = can(viewer, "administer") && (
    <>
      <Button component={Link} variant="default" to="/policies/import">
        Import…
      </Button>
      <Button component={Link} to="/policies/new">
        New policy
      </Button>
    </>
  );
  return (
    <Page title="Policies" about="What agents allow, refuse, or ask for before an action goes ahead." actions={create}>
      <div className="filters">
        <SearchBox label="Search" placeholder="Words of the name or scope…" value={values.q} onChange={(text) => set("q", text)} />
        <NativeSelect
          label="Type"
          value={values.type}
          onChange={(event) => set("type", event.currentTarget.value)}
          data={[
            { value: "", label: "Any" },
            ...(["PRIVILEGE_ELEVATION", "FILE_ACCESS", "COMMAND_LINE", "LEAST_PRIVILEGE"] as const).map((value) => ({
              value,
              label: spell(value),
            })),
          ]}
        />
        <NativeSelect
          label="Status"
          value={values.status}
          onChange={(event) => set("status", event.currentTarget.value)}
          data={[
            { value: "", label: "Any" },
            ...(["ENFORCE", "MONITOR_AND_NOTIFY", "MONITOR", "OFF"] as const).map((value) => ({ value, label: spell(value) })),
          ]}
        />
        <NativeSelect
          label="Demands"
          value={values.demands}
          onChange={(event) => set("demands", event.currentTarget.value)}
          data={[
            { value: "", label: "Any" },
            ...(["APPROVAL", "MFA", "JUSTIFICATION", "ALLOW", "DENY"] as const).map((value) => ({ value, label: spell(value) })),
          ]}
        />
        <NativeSelect
          label="Order"
          value={sort}
          onChange={(event) => set("sort", event.currentTarget.value === "NAME" ? "" : event.currentTarget.value)}
          data={(["NAME", "NEWEST_FIRST", "STATUS"] as const).map((value) => ({ value, label: spell(value) }))}
        />
      </div>
      <Card flush>
        <Ready look={look}>
          {({ policies }) =>
            policies.nodes.length === 0 ? (
              any ? (
                <Empty title="No policy fits these filters" action={<Button variant="default" onClick={clear}>Clear filters</Button>} />
              ) : (
                <Empty title="There are no policies yet" action={<div className="row">{create}</div>}>
                  Without one, agents leave every action to the operating system. Start with a policy that only monitors.
                </Empty>
              )
            ) : (
              <Table
                caption="Policies"
                rows={policies.nodes}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Name",
                    bare: true,
                    wide: true,
                    cell: (row) => (
                      <div className="stack stack--tight">
                        <Link className="table__main" to={`/policies/${row.id}`}>
                          {row.name}
                        </Link>
                        <span className="row small soft">
                          {spell(row.type)}, revision {row.revision}
                          {row.exception && <Tag tone="warn">Exception</Tag>}
                          {row.stagedRevision && <Tag tone="info">Revision {row.stagedRevision.number} staged</Tag>}
                          {row.warnings.length > 0 && (
                            <Tag tone="warn">{row.warnings.length === 1 ? "1 warning" : `${row.warnings.length} warnings`}</Tag>
                          )}
                        </span>
                      </div>
                    ),
                  },
                  { label: "Status", cell: (row) => <PolicyTag status={row.status} /> },
                  { label: "Demands", cell: (row) => <Controls controls={row.controls} /> },
                  { label: "Risk", cell: (row) => <Risk level={row.riskLevel} /> },
                  { label: "Changed", cell: (row) => <When at={row.updatedAt} /> },
                ]}
              />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.policies.pageInfo} total={look.data.policies.totalCount} />}
    </Page>
  );
}
