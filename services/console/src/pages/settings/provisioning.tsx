import { NativeSelect } from "@mantine/core";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { ProvisioningQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Copy } from "../../parts/copy";
import { Card, Facts } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Section } from "../../parts/section";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { Roles, UserTag } from "../../parts/tags";
import { count } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { ScimTokens } from "./scim-tokens";

const ProvisioningLook = graphql(`
  query Provisioning {
    scim {
      address accountAttribute accountAttributes
      tokens { id label role createdAt expiresAt lastUsedAt revokedAt replacedById }
    }
    teams { id name managed roles members { id } }
  }
`);
const UsersLook = graphql(`
  query ProvisionedUsers($search: String, $after: String) {
    users(filter: { managed: true }, search: $search, first: 50, after: $after) {
      nodes { id name email status roles }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
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
    <Section of="settings" title="Provisioning" about="Your identity provider adds, changes and disables people here by itself (SCIM 2.0).">
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
            <ProvisionedUsers />
            <ProvisionedTeams teams={data.teams.filter((team) => team.managed)} />
          </div>
        )}
      </Ready>
    </Section>
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

function ProvisionedUsers() {
  const [search, setSearch] = useState("");
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [search, restart]);
  const look = useLook(UsersLook, { search: search || null, after: cursor.after }, { names: ["User"] });
  return (
    <Card title="Users from the identity provider" flush>
      <div className="filters">
        <SearchBox label="Search provisioned users" placeholder="Name or e-mail…" value={search} onChange={setSearch} />
      </div>
      <Ready look={look}>
        {({ users }) =>
          users.nodes.length === 0 ? (
            <Empty title={search ? "Nobody fits this search" : "No user yet"}>{!search && "Users that an identity provider keeps are listed here."}</Empty>
          ) : (
            <Table
              caption="Provisioned users"
              rows={users.nodes}
              rowKey={(row) => row.id}
              columns={[
                { label: "Name", bare: true, wide: true, cell: (row) => <Link className="table__main" to={`/people?q=${encodeURIComponent(row.email ?? row.name ?? "")}`}>{row.name ?? row.email ?? row.id}</Link> },
                { label: "E-mail", cell: (row) => row.email },
                { label: "Status", cell: (row) => <UserTag status={row.status} /> },
                { label: "Roles", cell: (row) => <Roles roles={row.roles} /> },
              ]}
            />
          )
        }
      </Ready>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.users.pageInfo} total={look.data.users.totalCount} />}
    </Card>
  );
}

/** How many teams are listed here. */
const TEAMS = 50;

function ProvisionedTeams({ teams }: { teams: ProvisioningQuery["teams"] }) {
  return (
    <Card title={`Teams from the identity provider (${count(teams.length)})`} flush foot={teams.length > TEAMS && <Link to="/people/teams">All of them are at Teams</Link>}>
      {teams.length === 0 ? (
        <Empty title="No team yet">Groups that the provider sends become teams.</Empty>
      ) : (
        <Table
          caption="Provisioned teams"
          rows={teams.slice(0, TEAMS)}
          rowKey={(row) => row.id}
          columns={[
            { label: "Name", bare: true, wide: true, cell: (row) => <Link className="table__main" to="/people/teams">{row.name}</Link> },
            { label: "Members", cell: (row) => row.members.length },
            { label: "Gives the roles", cell: (row) => (row.roles.length > 0 ? <Roles roles={row.roles} /> : <span className="soft">None</span>) },
          ]}
        />
      )}
    </Card>
  );
}
