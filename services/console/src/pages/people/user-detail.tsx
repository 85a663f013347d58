import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Facts } from "../../parts/page";
import { Note, ProblemNote } from "../../parts/states";
import { Roles, UserTag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { RolePicker } from "./user-forms";
import type { UserRow } from "./users";

const RolesAct = graphql(`
  mutation ChangeUserRoles($input: ChangeUserRolesInput!) {
    changeUserRoles(input: $input) { user { id roles } position }
  }
`);
const DisableAct = graphql(`
  mutation DisableUser($input: DisableUserInput!) {
    disableUser(input: $input) { user { id status } position }
  }
`);
const EnableAct = graphql(`
  mutation EnableUser($input: EnableUserInput!) {
    enableUser(input: $input) { user { id status } position }
  }
`);
const LinkAct = graphql(`
  mutation LinkEndpointAccount($input: LinkEndpointAccountInput!) {
    linkEndpointAccount(input: $input) { user { id accounts { account linkedAt endpoint { id name } } } position }
  }
`);
const MachinesLook = graphql(`
  query MachinesToLink {
    endpoints(first: 200) { nodes { id name accounts { account user { id } } } }
  }
`);

export function UserDetail({ user }: { user: UserRow }) {
  const changes = can(useViewer(), "administer");
  const [roles, setRoles] = useState(user.roles);
  const [reason, setReason] = useState("");
  const changeRoles = useAct(RolesAct, "The roles are changed");
  const disable = useAct(DisableAct, "The user is disabled");
  const enable = useAct(EnableAct, "The user is enabled");
  const same = roles.length === user.roles.length && roles.every((role) => user.roles.includes(role));
  return (
    <div className="stack stack--wide">
      <Facts
        items={[
          ["E-mail", user.email ?? <span className="soft">Erased</span>],
          ["Status", <UserTag key="s" status={user.status} />],
          ["Roles", <Roles key="r" roles={user.roles} />],
          ["Teams", user.teams.map((team) => team.name).join(", ") || "None"],
          ["Managed", user.managed && "By the identity provider; names and status are changed there"],
          ["Added", <When key="c" at={user.createdAt} plain />],
          ["Id", <span key="i" className="mono">{user.id}</span>],
        ]}
      />
      <div className="stack stack--tight">
        <h3>Accounts on endpoints</h3>
        {user.accounts.length === 0 && <p className="soft">None is linked. Requests from unlinked accounts are flagged.</p>}
        <ul className="plain-list stack stack--tight">
          {user.accounts.map((link) => (
            <li key={`${link.endpoint?.id}/${link.account}`} className="row">
              <Visible text={link.account} />
              {link.endpoint && (
                <span className="soft">
                  on <Link to={`/endpoints/${link.endpoint.id}`}>{link.endpoint.name}</Link>
                </span>
              )}
            </li>
          ))}
        </ul>
        {changes && <LinkAccount userId={user.id} />}
      </div>
      {changes && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void changeRoles.run({ input: { userId: user.id, roles } });
          }}
        >
          <RolePicker value={roles} onChange={setRoles} />
          <ProblemNote problem={changeRoles.problem} />
          <div className="row">
            <Button type="submit" loading={changeRoles.running} disabled={same || roles.length === 0}>
              Change roles
            </Button>
          </div>
        </form>
      )}
      {changes && !user.managed && (
        <div className="stack">
          {user.status === "DISABLED" ? (
            <div className="row">
              <Button variant="default" loading={enable.running} onClick={() => void enable.run({ input: { userId: user.id } })}>
                Enable again
              </Button>
            </div>
          ) : (
            <>
              <Note tone="warn" title="Disabling ends everything at once">
                Sessions close, open requests are cancelled, grants are revoked.
              </Note>
              <div className="row row--bottom">
                <TextInput className="grow" label="Reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
                <Button color="brick" loading={disable.running} onClick={() => void disable.run({ input: { userId: user.id, reason: reason.trim() || null } })}>
                  Disable
                </Button>
              </div>
            </>
          )}
          <ProblemNote problem={disable.problem ?? enable.problem} />
        </div>
      )}
    </div>
  );
}

function LinkAccount({ userId }: { userId: string }) {
  const machines = useLook(MachinesLook, {}, { names: ["Endpoint"] });
  const link = useAct(LinkAct, "The account is linked");
  const [endpointId, setEndpointId] = useState("");
  const [account, setAccount] = useState("");
  const nodes = machines.data?.endpoints.nodes ?? [];
  const seen = nodes.find((endpoint) => endpoint.id === endpointId)?.accounts.filter((each) => !each.user) ?? [];
  return (
    <form
      className="stack stack--tight"
      onSubmit={(event) => {
        event.preventDefault();
        void link.run({ input: { userId, endpointId, account: account.trim() } }).then((done) => done && setAccount(""));
      }}
    >
      <div className="row row--bottom">
        <NativeSelect className="grow" label="Endpoint" value={endpointId} onChange={(event) => setEndpointId(event.currentTarget.value)} data={[{ value: "", label: "Choose…" }, ...nodes.map((node) => ({ value: node.id, label: node.name }))]} />
        <TextInput className="grow" label="Account" placeholder={seen[0]?.account ?? "CORP\\alice"} value={account} error={messageFor(link.problem?.fields ?? [], "account")} onChange={(event) => setAccount(event.currentTarget.value)} />
        <Button type="submit" variant="default" loading={link.running} disabled={!endpointId || !account.trim()}>
          Link
        </Button>
      </div>
      {seen.length > 0 && (
        <div className="row small soft">
          Seen there, not linked:
          {seen.map((each) => (
            <Button key={each.account} size="compact-xs" variant="default" onClick={() => setAccount(each.account)}>
              <Visible text={each.account} />
            </Button>
          ))}
        </div>
      )}
      <ProblemNote problem={link.problem} />
    </form>
  );
}
