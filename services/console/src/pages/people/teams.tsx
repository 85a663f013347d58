import { Button, MultiSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { Role, TeamsQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { ConfirmAct } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card } from "../../parts/page";
import { Picker } from "../../parts/picker";
import { SearchBox } from "../../parts/search-box";
import { Section } from "../../parts/section";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { Roles, spell, Tag } from "../../parts/tags";
import { count } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { choiceOf, usePeople } from "./people";

const TeamsLook = graphql(`
  query Teams {
    teams { id name managed roles createdAt members { id name email } }
  }
`);
const CreateAct = graphql(`
  mutation CreateTeam($input: CreateTeamInput!) {
    createTeam(input: $input) { team { id } position }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeTeam($input: ChangeTeamInput!) {
    changeTeam(input: $input) { team { id name members { id } } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteTeam($input: DeleteTeamInput!) {
    deleteTeam(input: $input) { team { id } position }
  }
`);

const RolesAct = graphql(`
  mutation MapTeamRoles($input: MapTeamRolesInput!) {
    mapTeamRoles(input: $input) { team { id roles } position }
  }
`);
const ReleaseAct = graphql(`
  mutation ReleaseTeam($input: ReleaseTeamInput!) {
    releaseTeam(input: $input) { team { id managed } position }
  }
`);

type Team = TeamsQuery["teams"][number];

/** How many names of a team's members are read at a glance. */
const NAMES = 5;

/** `Anna Berg, Bo Dahl and 12 more`. */
export function memberNames(members: Team["members"]): string {
  const names = members.slice(0, NAMES).map((member) => member.name ?? member.email ?? member.id);
  return names.join(", ") + (members.length > NAMES ? ` and ${count(members.length - NAMES)} more` : "");
}

/** How many teams are shown at first, and how many more each time. */
const PAGE = 50;

export function Teams() {
  const changes = can(useViewer(), "administer");
  const look = useLook(TeamsLook, {}, { names: ["Team"] });
  const [search, setSearch] = useState("");
  const [most, setMost] = useState(PAGE);
  const [editing, setEditing] = useState<Team | "new">();
  const [deleting, setDeleting] = useState<Team>();
  const [mapping, setMapping] = useState<Team>();
  const [releasing, setReleasing] = useState<Team>();
  const release = useAct(ReleaseAct, "The team is kept by hand from now on");
  const remove = useAct(DeleteAct, "The team is deleted");
  const create = changes && <Button onClick={() => setEditing("new")}>New team</Button>;
  const fitting = (look.data?.teams ?? []).filter((team) => team.name.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <Section of="people" title="Teams" about="Groups of users that approval rules can ask." actions={create}>
      {(look.data?.teams.length ?? 0) > 10 && (
        <div className="filters">
          <SearchBox label="Search" placeholder="Name…" value={search} onChange={setSearch} />
        </div>
      )}
      <Card flush foot={fitting.length > most && <Button size="xs" variant="default" onClick={() => setMost(most + PAGE)}>Show more of {count(fitting.length)}</Button>}>
        <Ready look={look}>
          {({ teams }) =>
            teams.length > 0 && fitting.length === 0 ? (
              <Empty title="No team fits this search" />
            ) : teams.length === 0 ? (
              <Empty title="There are no teams yet" action={create}>
                Approval rules may name people one by one; teams keep them short.
              </Empty>
            ) : (
              <Table
                caption="Teams"
                rows={fitting.slice(0, most)}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Name",
                    bare: true,
                    cell: (row) => (
                      <span className="row">
                        <span className="table__main">{row.name}</span>
                        {row.managed && <Tag tone="info">Identity provider</Tag>}
                      </span>
                    ),
                  },
                  {
                    label: "Members",
                    cell: (row) => memberNames(row.members) || <span className="soft">Nobody</span>,
                  },
                  { label: "Gives the roles", cell: (row) => (row.roles.length > 0 ? <Roles roles={row.roles} /> : <span className="soft">None</span>) },
                  ...(changes
                    ? [
                        {
                          label: "",
                          cell: (row: Team) => (
                            <div className="row row--end">
                              <Button size="compact-sm" variant="default" aria-label={`Roles of ${row.name}`} onClick={() => setMapping(row)}>
                                Roles
                              </Button>
                              {row.managed ? (
                                <Button size="compact-sm" variant="default" aria-label={`Release ${row.name}`} onClick={() => setReleasing(row)}>
                                  Release
                                </Button>
                              ) : (
                                <>
                                  <Button size="compact-sm" variant="default" aria-label={`Edit ${row.name}`} onClick={() => setEditing(row)}>
                                    Edit
                                  </Button>
                                  <Button size="compact-sm" variant="default" aria-label={`Delete ${row.name}`} onClick={() => setDeleting(row)}>
                                    Delete
                                  </Button>
                                </>
                              )}
                            </div>
                          ),
                        },
                      ]
                    : []),
                ]}
              />
            )
          }
        </Ready>
      </Card>
      <Dialog open={editing !== undefined} onClose={() => setEditing(undefined)} title={editing === "new" ? "New team" : "Edit team"}>
        {editing && <TeamForm old={editing === "new" ? undefined : editing} onDone={() => setEditing(undefined)} />}
      </Dialog>
      <Dialog open={mapping !== undefined} onClose={() => setMapping(undefined)} title={`Roles by ${mapping?.name ?? ""}`}>
        {mapping && <RolesForm team={mapping} onDone={() => setMapping(undefined)} />}
      </Dialog>
      {releasing && (
        <ConfirmAct act={release} variables={{ input: { teamId: releasing.id } }} title={`Release “${releasing.name}”?`} action="Release" onClose={() => setReleasing(undefined)}>
          It stays as it is and is changed by hand from now on; what the identity provider says of it is refused.
        </ConfirmAct>
      )}
      {deleting && (
        <ConfirmAct act={remove} variables={{ input: { teamId: deleting.id } }} title={`Delete “${deleting.name}”?`} action="Delete" onClose={() => setDeleting(undefined)}>
          Approval rules that name it ask the others they name, or administrators.
        </ConfirmAct>
      )}
    </Section>
  );
}

/** Roles that members have by the team, beside their own: how groups of an identity provider give rights. */
function RolesForm({ team, onDone }: { team: Team; onDone: () => void }) {
  const [roles, setRoles] = useState<Role[]>(team.roles);
  const map = useAct(RolesAct, "The roles are saved");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void map.run({ input: { teamId: team.id, roles } }).then((done) => done && onDone());
      }}
    >
      <MultiSelect
        label="Members have"
        description="Beside the roles they have themselves; none takes the mapping away"
        value={roles}
        error={messageFor(map.problem?.fields ?? [], "roles")}
        onChange={(value) => setRoles(value as Role[])}
        data={(["ADMIN", "APPROVER", "AUDITOR", "MEMBER"] as const).map((value) => ({ value, label: spell(value) }))}
      />
      <ProblemNote problem={map.problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={map.running}>
          Save roles
        </Button>
      </div>
    </form>
  );
}

function TeamForm({ old, onDone }: { old: Team | undefined; onDone: () => void }) {
  const people = usePeople();
  const [name, setName] = useState(old?.name ?? "");
  const [memberIds, setMembers] = useState(old?.members.map((member) => member.id) ?? []);
  const create = useAct(CreateAct, "The team is saved");
  const change = useAct(ChangeAct, "The team is saved");
  const problem = create.problem ?? change.problem;
  const error = (field: string) => messageFor(problem?.fields ?? [], field);
  const save = async () => {
    const common = { name: name.trim(), memberIds };
    const done = old ? await change.run({ input: { teamId: old.id, ...common } }) : await create.run({ input: common });
    if (done) onDone();
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <TextInput label="Name" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
      <Picker
        label="Members"
        placeholder="Nobody yet"
        value={memberIds}
        error={error("memberIds")}
        onChange={setMembers}
        known={(old?.members ?? []).map(choiceOf)}
        groups={[{ choices: people.rows.map(choiceOf) }]}
        search={people.search}
        onSearch={people.setSearch}
        more={people.more}
        busy={people.busy}
        problem={people.problem?.message}
      />
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={create.running || change.running}>
          Save team
        </Button>
      </div>
    </form>
  );
}
