import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { GroupsQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm, ConfirmAct } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card, Facts } from "../../parts/page";
import { Section } from "../../parts/section";
import { Empty, Note, ProblemNote, Ready } from "../../parts/states";
import { count, When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { TokenTable } from "./token-table";
import { PackageForm, TokenForm } from "./tokens";

const GroupsLook = graphql(`
  query Groups {
    deploymentGroups {
      id name endpointCount snapshotVersion upToDateCount createdAt
      heldSnapshot { version policies servedPolicies at }
      stagedPolicies { id name }
      registrationTokens { id label createdAt createdBy { kind name } expiresAt maximumRegistrations registrations revokedAt }
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateDeploymentGroup($input: CreateDeploymentGroupInput!) {
    createDeploymentGroup(input: $input) { deploymentGroup { id } position }
  }
`);
const RenameAct = graphql(`
  mutation RenameDeploymentGroup($input: RenameDeploymentGroupInput!) {
    renameDeploymentGroup(input: $input) { deploymentGroup { id name } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteDeploymentGroup($input: DeleteDeploymentGroupInput!) {
    deleteDeploymentGroup(input: $input) { deploymentGroup { id } position }
  }
`);
const LetOutAct = graphql(`
  mutation ConfirmSnapshot($input: ConfirmSnapshotInput!) {
    confirmSnapshot(input: $input) { deploymentGroup { id snapshotVersion heldSnapshot { version } } position }
  }
`);

export type Group = GroupsQuery["deploymentGroups"][number];
type Asking = { what: "package" | "token" | "rename" | "delete" | "confirm"; group: Group } | { what: "create" } | undefined;

/** Deployment groups: what each offers its endpoints, and how machines get into it. */
export function Groups() {
  const changes = can(useViewer(), "administer");
  const look = useLook(GroupsLook, {}, { names: ["DeploymentGroup", "RegistrationToken"] });
  const [asking, setAsking] = useState<Asking>();
  const close = () => setAsking(undefined);
  const create = changes && <Button onClick={() => setAsking({ what: "create" })}>New group</Button>;
  return (
    <Section of="fleet" title="Deployment groups" about="Rings of rollout: a policy revision can go to one group first." actions={create}>
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
                <GroupCard key={group.id} group={group} changes={changes} ask={(what) => setAsking({ what, group })} />
              ))}
            </div>
          )
        }
      </Ready>
      <Dialog open={asking?.what === "create"} onClose={close} title="New deployment group">
        <NameForm onDone={close} />
      </Dialog>
      {asking && asking.what !== "create" && <Asked what={asking.what} group={asking.group} close={close} />}
    </Section>
  );
}

function GroupCard({ group, changes, ask }: { group: Group; changes: boolean; ask: (what: "package" | "token" | "rename" | "delete" | "confirm") => void }) {
  const held = group.heldSnapshot;
  return (
    <Card
      title={group.name}
      actions={
        changes && (
          <>
            <Button size="xs" onClick={() => ask("package")}>
              Deployment package…
            </Button>
            <Button size="xs" variant="default" onClick={() => ask("token")}>
              Registration token…
            </Button>
            <Button size="xs" variant="default" aria-label={`Rename ${group.name}`} onClick={() => ask("rename")}>
              Rename…
            </Button>
            {group.endpointCount === 0 && (
              <Button size="xs" variant="default" aria-label={`Delete ${group.name}`} onClick={() => ask("delete")}>
                Delete…
              </Button>
            )}
          </>
        )
      }
    >
      <div className="stack">
        {held && (
          <Note tone="warn" title="A snapshot waits for a confirmation">
            <p>
              It has {count(held.policies)} policies; the one that agents keep meanwhile has {count(held.servedPolicies)}. So many at once are seldom meant to go. Held since <When at={held.at} />.
            </p>
            {changes && (
              <Button mt={8} size="xs" variant="default" onClick={() => ask("confirm")}>
                Let it out…
              </Button>
            )}
          </Note>
        )}
        <Facts
          items={[
            ["Endpoints", <Link key="e" to={`/endpoints?group=${group.id}`}>{count(group.endpointCount)}</Link>],
            ["Snapshot", group.snapshotVersion == null ? "None yet: it is made with the first policy" : `Version ${count(group.snapshotVersion)}, applied by ${count(group.upToDateCount)} of ${count(group.endpointCount)}`],
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
        {group.registrationTokens.length > 0 ? <TokenTable group={group} changes={changes} /> : <p className="soft">No registration token yet: no machine can join this group.</p>}
      </div>
    </Card>
  );
}

/** The dialog of what was asked for about one group. */
function Asked({ what, group, close }: { what: "package" | "token" | "rename" | "delete" | "confirm"; group: Group; close: () => void }) {
  const remove = useAct(DeleteAct, "The group is deleted");
  const confirm = useAct(LetOutAct, "The snapshot is on its way to the agents");
  switch (what) {
    case "package":
      return (
        <Dialog open onClose={close} title={`Deployment package for ${group.name}`}>
          <PackageForm deploymentGroupId={group.id} onDone={close} />
        </Dialog>
      );
    case "token":
      return (
        <Dialog open onClose={close} title={`Registration token for ${group.name}`}>
          <TokenForm deploymentGroupId={group.id} onDone={close} />
        </Dialog>
      );
    case "rename":
      return (
        <Dialog open onClose={close} title={`Rename ${group.name}`}>
          <NameForm group={group} onDone={close} />
        </Dialog>
      );
    case "delete":
      return (
        <ConfirmAct act={remove} variables={{ input: { deploymentGroupId: group.id } }} title={`Delete “${group.name}”?`} action="Delete" onClose={close}>
          Its registration tokens are void. It has no endpoints that could lose their policies.
        </ConfirmAct>
      );
    case "confirm":
      return (
        <Confirm
          open
          onClose={close}
          title="Let this snapshot out?"
          action="Let it out"
          dangerous
          running={confirm.running}
          problem={confirm.problem}
          onConfirm={() => group.heldSnapshot && void confirm.run({ input: { deploymentGroupId: group.id, version: group.heldSnapshot.version } }).then((done) => done && close())}
        >
          The agents of {group.name} go from {count(group.heldSnapshot?.servedPolicies ?? 0)} to {count(group.heldSnapshot?.policies ?? 0)} policies at their next contact.
        </Confirm>
      );
  }
}

function NameForm({ group, onDone }: { group?: Group; onDone: () => void }) {
  const [name, setName] = useState(group?.name ?? "");
  const create = useAct(CreateAct, "The group is created");
  const rename = useAct(RenameAct, "The group is renamed");
  const problem = create.problem ?? rename.problem;
  const save = async () => {
    const done = group ? await rename.run({ input: { deploymentGroupId: group.id, name: name.trim() } }) : await create.run({ input: { name: name.trim() } });
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
      <TextInput label="Name" description="Such as “Pilot ring” or “Everyone”" required value={name} error={messageFor(problem?.fields ?? [], "name")} onChange={(event) => setName(event.currentTarget.value)} />
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={create.running || rename.running} disabled={!name.trim() || name.trim() === group?.name}>
          {group ? "Rename" : "Create group"}
        </Button>
      </div>
    </form>
  );
}
