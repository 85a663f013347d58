import { Button, NativeSelect } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { graphql } from "../../gql";
import type { Role, UserFilter, UsersQuery, UserStatus } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { Dialog } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Card } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Section } from "../../parts/section";
import { Empty, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { Roles, spell, UserTag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { Factors, UserDetail } from "./user-detail";
import { NewUser } from "./user-forms";

const UsersLook = graphql(`
  query Users($filter: UserFilter, $search: String, $after: String) {
    users(filter: $filter, search: $search, first: 50, after: $after) {
      nodes {
        id email name status roles assignedRoles mailRefused totpEnrolled passkeyEnrolled managed createdAt lastSignInAt
        teams { id name }
        accounts { personId account linkedAt endpoint { id name } }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);

export type UserRow = UsersQuery["users"]["nodes"][number];

export const roles: Role[] = ["OWNER", "ADMIN", "APPROVER", "AUDITOR", "MEMBER"];
const names = ["role", "status", "q"] as const;

export function Users() {
  const changes = can(useViewer(), "administer");
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [values, restart]);
  const filter = useMemo<UserFilter>(
    () => ({
      ...(values.role ? { roles: [values.role as Role] } : {}),
      ...(values.status ? { statuses: [values.status as UserStatus] } : {}),
    }),
    [values],
  );
  const look = useLook(UsersLook, { filter, search: values.q || null, after: cursor.after }, { names: ["User"] });
  const [adding, setAdding] = useState(false);
  const [open, setOpen] = useState<string>();
  const chosen = look.data?.users.nodes.find((user) => user.id === open);
  return (
    <Section
      of="people"
      title="Users"
      about="People who sign in, and what each of them may do."
      actions={changes && <Button onClick={() => setAdding(true)}>Add a user</Button>}
    >
      <div className="filters">
        <SearchBox label="Search" placeholder="Name or e-mail…" value={values.q} onChange={(text) => set("q", text)} />
        <NativeSelect label="Role" value={values.role} onChange={(event) => set("role", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...roles.map((value) => ({ value, label: spell(value) }))]} />
        <NativeSelect label="Status" value={values.status} onChange={(event) => set("status", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...(["ACTIVE", "INVITED", "DISABLED"] as const).map((value) => ({ value, label: spell(value) }))]} />
      </div>
      <Card flush>
        <Ready look={look}>
          {({ users }) =>
            users.nodes.length === 0 ? (
              <Empty title={any ? "Nobody fits these filters" : "There are no users"} action={any ? <Button variant="default" onClick={clear}>Clear filters</Button> : undefined} />
            ) : (
              <Table
                caption="Users"
                rows={users.nodes}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Name",
                    bare: true,
                    cell: (row) => (
                      <div>
                        <div className="table__main">{row.name ?? <span className="soft">Name erased</span>}</div>
                        <div className="soft small">{row.email}</div>
                      </div>
                    ),
                  },
                  { label: "Roles", cell: (row) => <Roles roles={row.roles} /> },
                  { label: "Status", cell: (row) => <UserTag status={row.status} /> },
                  { label: "Second factor", cell: (row) => <Factors user={row} /> },
                  { label: "Teams", cell: (row) => (row.teams.length > 0 ? row.teams.map((team) => team.name).join(", ") : <span className="soft">None</span>) },
                  { label: "Signed in", cell: (row) => (row.lastSignInAt ? <When at={row.lastSignInAt} /> : <span className="soft">Never</span>) },
                  {
                    label: "",
                    cell: (row) => (
                      <div className="row row--end">
                        <Button size="compact-sm" variant="default" aria-label={`Open ${row.name ?? row.id}`} onClick={() => setOpen(row.id)}>
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
      {look.data && <Pager cursor={cursor} pageInfo={look.data.users.pageInfo} total={look.data.users.totalCount} />}
      <Dialog open={adding} onClose={() => setAdding(false)} title="Add a user">
        <NewUser onDone={() => setAdding(false)} />
      </Dialog>
      <Dialog open={chosen !== undefined} onClose={() => setOpen(undefined)} title={chosen?.name ?? chosen?.email ?? "User"} wide>
        {chosen && <UserDetail user={chosen} />}
      </Dialog>
    </Section>
  );
}
