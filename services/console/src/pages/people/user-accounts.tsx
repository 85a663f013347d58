import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { MachinesToLinkQuery } from "../../gql/graphql";
import { useAct } from "../../graphql/hooks";
import { useFound } from "../../graphql/pages";
import { messageFor } from "../../graphql/problem";
import { ConfirmAct } from "../../parts/confirm";
import { Picker } from "../../parts/picker";
import { ProblemNote } from "../../parts/states";
import { Visible } from "../../parts/visible";
import type { UserRow } from "./users";

const LinkAct = graphql(`
  mutation LinkEndpointAccount($input: LinkEndpointAccountInput!) {
    linkEndpointAccount(input: $input) { user { id accounts { personId account linkedAt endpoint { id name } } } position }
  }
`);
const UnlinkAct = graphql(`
  mutation UnlinkEndpointAccount($input: UnlinkEndpointAccountInput!) {
    unlinkEndpointAccount(input: $input) { user { id accounts { personId account linkedAt endpoint { id name } } } position }
  }
`);
const MachinesLook = graphql(`
  query MachinesToLink($search: String, $after: String) {
    endpoints(search: $search, first: 50, after: $after) {
      nodes { id name accounts { account user { id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

type Machine = MachinesToLinkQuery["endpoints"]["nodes"][number];

const choiceOf = ({ id, name }: Machine) => ({ id, label: name });

/** Which accounts on endpoints are a user's: only then is a request of theirs known to be their own. */
export function UserAccounts({ user, changes }: { user: UserRow; changes: boolean }) {
  const [leaving, setLeaving] = useState<UserRow["accounts"][number]>();
  const unlink = useAct(UnlinkAct, "The link is taken back");
  return (
    <div className="stack stack--tight">
      <h3>Accounts on endpoints</h3>
      {user.accounts.length === 0 && <p className="soft">None is linked. Requests from unlinked accounts are flagged.</p>}
      <ul className="plain-list stack stack--tight">
        {user.accounts.map((link) => (
          <li key={link.personId} className="row">
            <Visible text={link.account} />
            {link.endpoint && (
              <span className="soft">
                on{" "}
                <Link to={`/endpoints/${link.endpoint.id}`}>
                  <Visible text={link.endpoint.name} />
                </Link>
              </span>
            )}
            {changes && (
              <Button size="compact-xs" variant="default" aria-label={`Unlink ${link.account}`} onClick={() => setLeaving(link)}>
                Unlink
              </Button>
            )}
          </li>
        ))}
      </ul>
      {changes && <LinkAccount userId={user.id} />}
      {leaving && (
        <ConfirmAct act={unlink} variables={{ input: { personId: leaving.personId } }} title="Take this link back?" action="Unlink" onClose={() => setLeaving(undefined)}>
          Requests of {leaving.account} are of an unlinked account again: flagged, or refused where the settings say so.
        </ConfirmAct>
      )}
    </div>
  );
}

function LinkAccount({ userId }: { userId: string }) {
  const machines = useFound(MachinesLook, (data) => data.endpoints, { names: ["Endpoint"] });
  const link = useAct(LinkAct, "The account is linked");
  const [machine, setMachine] = useState<Machine>();
  const [account, setAccount] = useState("");
  // The newest of what is known about it, so that an account that was just linked is not offered again.
  const known = machines.rows.find((row) => row.id === machine?.id) ?? machine;
  const seen = known?.accounts.filter((each) => !each.user) ?? [];
  return (
    <form
      className="stack stack--tight"
      onSubmit={(event) => {
        event.preventDefault();
        if (machine) void link.run({ input: { userId, endpointId: machine.id, account: account.trim() } }).then((done) => done && setAccount(""));
      }}
    >
      <div className="row row--bottom">
        <Picker
          className="grow"
          label="Endpoint"
          placeholder="Choose…"
          single
          value={machine ? [machine.id] : []}
          onChange={([id]) => setMachine(machines.rows.find((row) => row.id === id))}
          known={machine ? [choiceOf(machine)] : []}
          groups={[{ choices: machines.rows.map(choiceOf) }]}
          search={machines.search}
          onSearch={machines.setSearch}
          more={machines.more}
          busy={machines.busy}
          problem={machines.problem?.message}
        />
        <TextInput className="grow" label="Account" placeholder={seen[0]?.account ?? "CORP\\alice"} value={account} error={messageFor(link.problem?.fields ?? [], "account") !== undefined} onChange={(event) => setAccount(event.currentTarget.value)} />
        <Button type="submit" variant="default" loading={link.running} disabled={!machine || !account.trim()}>
          Link
        </Button>
      </div>
      {machine && seen.length === 0 && <p className="small soft">No account was seen there that is not linked yet. It is, once it has asked for something.</p>}
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
