import { Button, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";
import { graphql } from "../../gql";
import type { PolicyStatus } from "../../gql/graphql";
import { useAct } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Note, ProblemNote } from "../../parts/states";
import { spell } from "../../parts/tags";
import type { PolicyView } from "./policy";

const SetStatusAct = graphql(`
  mutation SetPolicyStatus($input: SetPolicyStatusInput!) {
    setPolicyStatus(input: $input) { policy { id status document revision } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeletePolicy($input: DeletePolicyInput!) {
    deletePolicy(input: $input) { policy { id deletedAt } position }
  }
`);
const DuplicateAct = graphql(`
  mutation DuplicatePolicy($input: DuplicatePolicyInput!) {
    duplicatePolicy(input: $input) { policy { id } position }
  }
`);

const meanings: Record<PolicyStatus, string> = {
  OFF: "Kept here; agents do not get it.",
  MONITOR: "Agents record what it would do. Nothing changes for users.",
  MONITOR_AND_NOTIFY: "Agents record, and tell the user what it would do.",
  ENFORCE: "Agents act by it.",
};

/** Status, copy and deletion: what can be done with a policy without editing it. */
export function PolicyActions({ policy }: { policy: PolicyView }) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"status" | "copy" | "delete">();
  const [status, setStatus] = useState<PolicyStatus>(policy.status);
  const [comment, setComment] = useState("");
  const [name, setName] = useState(`${policy.name} (copy)`);
  const setPolicyStatus = useAct(SetStatusAct, "The status is changed");
  const remove = useAct(DeleteAct, "The policy is deleted");
  const duplicate = useAct(DuplicateAct, "The copy is made; it is off");
  const nameWrong = messageFor(duplicate.problem?.fields ?? [], "name");
  const close = () => setAsking(undefined);
  const choices: PolicyStatus[] = policy.type === "LEAST_PRIVILEGE" ? ["OFF", "ENFORCE"] : ["OFF", "MONITOR", "MONITOR_AND_NOTIFY", "ENFORCE"];
  return (
    <>
      <Button
        onClick={() => {
          setStatus(policy.status);
          setAsking("status");
        }}
      >
        Change status…
      </Button>
      <Button variant="default" onClick={() => setAsking("copy")}>
        Duplicate…
      </Button>
      <Button variant="default" onClick={() => setAsking("delete")}>
        Delete…
      </Button>
      <Dialog open={asking === "status"} onClose={close} title="Change status">
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void setPolicyStatus.run({ input: { policyId: policy.id, status, comment: comment.trim() || null } }).then((done) => done && close());
          }}
        >
          <NativeSelect
            label="Status"
            description={meanings[status]}
            value={status}
            onChange={(event) => setStatus(event.currentTarget.value as PolicyStatus)}
            data={choices.map((value) => ({ value, label: spell(value) }))}
          />
          {status === "ENFORCE" && policy.status === "OFF" && policy.type !== "LEAST_PRIVILEGE" && (
            <Note tone="warn">It has not been monitored. Monitoring first shows whom it would stop.</Note>
          )}
          <Textarea label="Comment" rows={2} value={comment} onChange={(event) => setComment(event.currentTarget.value)} />
          <ProblemNote problem={setPolicyStatus.problem} />
          <div className="row row--end">
            <Button variant="default" onClick={close}>
              Keep as it is
            </Button>
            <Button type="submit" loading={setPolicyStatus.running} disabled={status === policy.status}>
              Change status
            </Button>
          </div>
        </form>
      </Dialog>
      <Dialog open={asking === "copy"} onClose={close} title="Duplicate this policy">
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void duplicate
              .run({ input: { policyId: policy.id, name: name.trim() } })
              .then((data) => data && navigate(`/policies/${data.duplicatePolicy.policy.id}`));
          }}
        >
          <TextInput
            label="Name of the copy"
            required
            maxLength={200}
            value={name}
            error={nameWrong}
            onChange={(event) => {
              duplicate.clear();
              setName(event.currentTarget.value);
            }}
          />
          <ProblemNote problem={nameWrong ? undefined : duplicate.problem} />
          <div className="row row--end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" loading={duplicate.running}>
              Duplicate
            </Button>
          </div>
        </form>
      </Dialog>
      <Confirm
        open={asking === "delete"}
        onClose={close}
        title="Delete this policy?"
        action="Delete"
        dangerous
        reason={{ label: "Comment", required: false }}
        running={remove.running}
        problem={remove.problem}
        onConfirm={(comment) =>
          void remove.run({ input: { policyId: policy.id, comment: comment || null } }).then((done) => done && navigate("/policies"))
        }
      >
        Agents drop it with their next snapshot. Its revisions stay in the audit trail.
      </Confirm>
    </>
  );
}
