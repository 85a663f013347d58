import { NativeSelect } from "@mantine/core";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { ProvisioningQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Copy } from "../../parts/copy";
import { Card, Facts } from "../../parts/page";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { Roles, UserTag } from "../../parts/tags";
import { can, useViewer } from "../../shell/viewer";
import { SettingsFrame } from "./frame";
import { ScimTokens } from "./scim-tokens";

const ProvisioningLook = graphql(`
  query Provisioning {
    scim {
      address accountAttribute accountAttributes
      tokens { id label role createdAt expiresAt lastUsedAt revokedAt replacedById }
    }
    users(first: 200) { nodes { id name email status roles managed } pageInfo { hasNextPage } }
    teams { id name managed roles members { id } }
  }
`);
const AttributeAct = graphql(`
  mutation ChangeScimAccountAttribute($input: ChangeScimAccountAttributeInput!) {
    changeScimAccountAttribute(input: $input) { scim { accountAttribute } position }
  }
`);

export type Scim = ProvisioningQuery["scim"];

/** How an identity provider keeps users and teams here by SCIM, and what it has brought so far. */
export function Provisioning() {
  const changes = can(useViewer(), "administer");
  const look = useLook(ProvisioningLook, {}, { names: ["ScimToken", "ScimAccess", "User", "Team"] });
  return (
    <SettingsFrame title="Provisioning" about="Your identity provider adds, changes and disables people here by itself (SCIM 2.0).">
      <Ready look={look} lines={9}>
        {(data) => (
          <div className="stack">
            <Card title="To be entered at the identity provider" actions={<Copy text={data.scim.address} label="Copy the address" />}>
              <div className="stack">
                <Facts
                  items={[
                    ["Address", <span key="a" className="mono">{data.scim.address}</span>],
                    ["Sign-in", "A token, sent as a bearer token (OAuth bearer token, HTTP header)"],
                    ["It may", "Create, change and disable users; create and change groups, which are teams here"],
                  ]}
                />
                <ol className="steps soft">
                  <li>Issue a token below, and enter it with the address at your identity provider.</li>
                  <li>Let the provider send its users, then the groups that matter here.</li>
                  <li>
                    Give the teams that arrive their roles at <Link to="/people/teams">Teams</Link>; until then everybody is a member.
                  </li>
                </ol>
                <p className="soft">What the provider keeps is not changed by hand. A user who is disabled there is signed out here at once, and their requests and grants end.</p>
              </div>
            </Card>
            <ScimTokens tokens={data.scim.tokens} changes={changes} />
            <Card title="Accounts on endpoints">
              <AccountAttribute scim={data.scim} changes={changes} />
            </Card>
            <Provisioned users={data.users.nodes.filter((user) => user.managed)} more={data.users.pageInfo.hasNextPage} teams={data.teams.filter((team) => team.managed)} />
          </div>
        )}
      </Ready>
    </SettingsFrame>
  );
}

function AccountAttribute({ scim, changes }: { scim: Scim; changes: boolean }) {
  const change = useAct(AttributeAct, "The attribute is saved");
  return (
    <div className="stack">
      <NativeSelect
        label="Attribute that names the account"
        description="Requests of that account are then known to be that user's own"
        disabled={!changes || change.running}
        value={scim.accountAttribute ?? ""}
        onChange={(event) => void change.run({ input: { attribute: event.currentTarget.value || null } })}
        data={[{ value: "", label: "None: accounts are linked by hand" }, ...scim.accountAttributes.map((value) => ({ value, label: value }))]}
      />
      <ProblemNote problem={change.problem} />
    </div>
  );
}

function Provisioned({ users, more, teams }: { users: ProvisioningQuery["users"]["nodes"]; more: boolean; teams: ProvisioningQuery["teams"] }) {
  if (users.length === 0 && teams.length === 0) {
    return (
      <Card title="Provisioned so far" flush>
        <Empty title="Nothing has been provisioned yet">Users and teams that an identity provider keeps are listed here.</Empty>
      </Card>
    );
  }
  return (
    <>
      <Card title={`Users from the identity provider (${users.length}${more ? " of the first 200" : ""})`} flush>
        {users.length === 0 ? (
          <Empty title="No user yet" />
        ) : (
          <Table
            caption="Provisioned users"
            rows={users}
            rowKey={(row) => row.id}
            columns={[
              { label: "Name", bare: true, wide: true, cell: (row) => <Link className="table__main" to={`/people?q=${encodeURIComponent(row.email ?? row.name ?? "")}`}>{row.name ?? row.email ?? row.id}</Link> },
              { label: "E-mail", cell: (row) => row.email },
              { label: "Status", cell: (row) => <UserTag status={row.status} /> },
              { label: "Roles", cell: (row) => <Roles roles={row.roles} /> },
            ]}
          />
        )}
      </Card>
      <Card title={`Teams from the identity provider (${teams.length})`} flush>
        {teams.length === 0 ? (
          <Empty title="No team yet">Groups that the provider sends become teams.</Empty>
        ) : (
          <Table
            caption="Provisioned teams"
            rows={teams}
            rowKey={(row) => row.id}
            columns={[
              { label: "Name", bare: true, wide: true, cell: (row) => <Link className="table__main" to="/people/teams">{row.name}</Link> },
              { label: "Members", cell: (row) => row.members.length },
              { label: "Gives the roles", cell: (row) => (row.roles.length > 0 ? <Roles roles={row.roles} /> : <span className="soft">None</span>) },
            ]}
          />
        )}
      </Card>
    </>
  );
}
