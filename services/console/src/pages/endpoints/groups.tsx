import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { GroupsQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card, Facts } from "../../parts/page";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { Tag } from "../../parts/tags";
import { useNow, When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { FleetFrame } from "./frame";
import { PackageForm, TokenForm } from "./tokens";

const GroupsLook = graphql(`
  query Groups {
    deploymentGroups {
      id name description endpointCount snapshotVersion upToDateCount createdAt
      stagedPolicies { id name }
      registrationTokens { id label createdAt expiresAt maximumRegistrations registrations revokedAt }
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateDeploymentGroup($input: CreateDeploymentGroupInput!) {
    createDeploymentGroup(input: $input) { deploymentGroup { id } position }
  }
`);
const RevokeAct = graphql(`
  mutation RevokeRegistrationToken($input: RevokeRegistrationTokenInput!) {
    revokeRegistrationToken(input: $input) { registrationToken { id revokedAt } deploymentGroup { id } position }
  }
`);

type Group = GroupsQuery["deploymentGroups"][number];
type Token = Group["registrationTokens"][number];

export function Groups() {
  const changes = can(useViewer(), "administer");
  const look = useLook(GroupsLook, {}, { names: ["DeploymentGroup", "RegistrationToken"] });
  const [creating, setCreating] = useState(false);
  const [token, setToken] = useState<Group>();
  const [pack, setPack] = useState<Group>();
  const create = changes && <Button onClick={() => setCreating(true)}>New group</Button>;
  return (
    <FleetFrame title="Deployment groups" about="Rings of rollout: a policy revision can go to one group first." actions={create}>
      <Ready look={look}>
        {({ deploymentGroups }) =>
          deploymentGroups.length === 0 ? (
            <Card flush>
              <Empty title="There are no groups yet" action={create}>
                Endpoints register into a group with a token of it.
              </Empty>
            </Card>
          ) : (
            <div className="stack">
              {deploymentGroups.map((group) => (
                <Card
                  key={group.id}
                  title={group.name}
                  actions={
                    changes && (
                      <>
                        <Button size="xs" onClick={() => setPack(group)}>
                          Deployment package…
                        </Button>
                        <Button size="xs" variant="default" onClick={() => setToken(group)}>
                          Registration token…
                        </Button>
                      </>
                    )
                  }
                >
                  <div className="stack">
                    {group.description && <p className="soft">{group.description}</p>}
                    <Facts
                      items={[
                        ["Endpoints", <Link key="e" to={`/endpoints?group=${group.id}`}>{group.endpointCount}</Link>],
                        ["Snapshot", group.snapshotVersion == null ? "None yet" : `Version ${group.snapshotVersion}, applied by ${group.upToDateCount} of ${group.endpointCount}`],
                        [
                          "Staged first here",
                          group.stagedPolicies.length > 0 && (
                            <span className="row">
                              {group.stagedPolicies.map((policy) => (
                                <Link key={policy.id} to={`/policies/${policy.id}`}>
                                  {policy.name}
                                </Link>
                              ))}
                            </span>
                          ),
                        ],
                      ]}
                    />
                    {group.registrationTokens.length > 0 && <Tokens tokens={group.registrationTokens} changes={changes} />}
                  </div>
                </Card>
              ))}
            </div>
          )
        }
      </Ready>
      <Dialog open={creating} onClose={() => setCreating(false)} title="New deployment group">
        <GroupForm onDone={() => setCreating(false)} />
      </Dialog>
      <Dialog open={token !== undefined} onClose={() => setToken(undefined)} title={`Registration token for ${token?.name ?? ""}`}>
        {token && <TokenForm deploymentGroupId={token.id} onDone={() => setToken(undefined)} />}
      </Dialog>
      <Dialog open={pack !== undefined} onClose={() => setPack(undefined)} title={`Deployment package for ${pack?.name ?? ""}`}>
        {pack && <PackageForm deploymentGroupId={pack.id} onDone={() => setPack(undefined)} />}
      </Dialog>
    </FleetFrame>
  );
}

function Tokens({ tokens, changes }: { tokens: Token[]; changes: boolean }) {
  const now = useNow(60_000);
  const [revoking, setRevoking] = useState<Token>();
  const revoke = useAct(RevokeAct, "The token is revoked");
  const state = (token: Token) => {
    if (token.revokedAt) return <Tag tone="bad">Revoked</Tag>;
    if (token.expiresAt && Date.parse(token.expiresAt) <= now) return <Tag>Expired</Tag>;
    if (token.maximumRegistrations != null && token.registrations >= token.maximumRegistrations) return <Tag>Used up</Tag>;
    return <Tag tone="good">Valid</Tag>;
  };
  return (
    <div className="inset">
      <Table
        caption="Registration tokens"
        rows={tokens}
        rowKey={(row) => row.id}
        columns={[
          { label: "Token", bare: true, cell: (row) => <span className="table__main">{row.label}</span> },
          { label: "State", cell: state },
          { label: "Used", cell: (row) => `${row.registrations} of ${row.maximumRegistrations ?? "unlimited"}` },
          { label: "Expires", cell: (row) => (row.expiresAt ? <When at={row.expiresAt} /> : <span className="soft">Never</span>) },
          {
            label: "",
            cell: (row) =>
              changes &&
              !row.revokedAt && (
                <div className="row row--end">
                  <Button size="compact-sm" variant="default" aria-label={`Revoke ${row.label}`} onClick={() => setRevoking(row)}>
                    Revoke
                  </Button>
                </div>
              ),
          },
        ]}
      />
      {revoking && (
        <Confirm
          open
          onClose={() => setRevoking(undefined)}
          title={`Revoke “${revoking.label}”?`}
          action="Revoke"
          dangerous
          running={revoke.running}
          problem={revoke.problem}
          onConfirm={() => void revoke.run({ input: { registrationTokenId: revoking.id } }).then((done) => done && setRevoking(undefined))}
        >
          No further machine can register with it. Those that did stay.
        </Confirm>
      )}
    </div>
  );
}

function GroupForm({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const create = useAct(CreateAct, "The group is created");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void create.run({ input: { name: name.trim(), description } }).then((done) => done && onDone());
      }}
    >
      <TextInput label="Name" required value={name} error={messageFor(create.problem?.fields ?? [], "name")} onChange={(event) => setName(event.currentTarget.value)} />
      <TextInput label="Description" value={description} onChange={(event) => setDescription(event.currentTarget.value)} />
      <ProblemNote problem={create.problem} />
      <div className="row row--end">
        <Button type="submit" loading={create.running}>
          Create group
        </Button>
      </div>
    </form>
  );
}
