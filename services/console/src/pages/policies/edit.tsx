import { Button, Checkbox, Textarea } from "@mantine/core";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { graphql } from "../../gql";
import { useAct, useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { Note, ProblemNote } from "../../parts/states";
import { DiffView } from "./diff-view";
import { PolicyEditor, useDraft, useReport } from "./editor";
import { Impact } from "./impact";
import type { PolicyView } from "./policy";
import { TryAction } from "./try-action";

const ReviseAct = graphql(`
  mutation RevisePolicy($input: RevisePolicyInput!) {
    revisePolicy(input: $input) { policy { id revision } position }
  }
`);
const StageAct = graphql(`
  mutation StagePolicyRevision($input: StagePolicyRevisionInput!) {
    stagePolicyRevision(input: $input) { policy { id revision stagedRevision { number } } position }
  }
`);
const GroupsLook = graphql(`
  query GroupsForStaging {
    deploymentGroups { id name endpointCount }
  }
`);

/** Changes a policy: for everybody at once, or for some deployment groups first. */
export function EditPolicy({ policy }: { policy: PolicyView }) {
  const navigate = useNavigate();
  const draft = useDraft(policy.document);
  const report = useReport(draft.raw, policy.id);
  const revise = useAct(ReviseAct, "The new revision is saved");
  const stage = useAct(StageAct, "The new revision is staged");
  const groups = useLook(GroupsLook, {}, { names: ["DeploymentGroup"] });
  const [comment, setComment] = useState("");
  const [first, setFirst] = useState<string[]>([]);
  const refused = revise.problem ?? stage.problem;
  const problems = refused?.fields.length ? refused.fields : report.problems;
  const changed = draft.raw !== policy.document;
  const save = async () => {
    const common = { policyId: policy.id, expectedRevision: policy.revision, document: draft.raw, comment: comment.trim() || null };
    const data =
      first.length > 0 ? await stage.run({ input: { ...common, deploymentGroupIds: first } }) : await revise.run({ input: common });
    if (data) navigate(`/policies/${policy.id}`);
  };
  const staged = policy.stagedRevision;
  return (
    <div className="stack">
      {staged && (
        <Note tone="warn" title={`Revision ${staged.number} is staged`}>
          While it waits, nothing else can be saved. <Link to={`/policies/${policy.id}/revisions`}>Promote or withdraw it</Link> first.
        </Note>
      )}
      <PolicyEditor
        draft={draft}
        problems={problems}
        warnings={report.warnings}
        lockType
        aside={
          <Card title="Save as a new revision">
            <div className="stack">
              <Textarea label="Comment" description="Why; it stands with the revision and in the audit trail" rows={2} value={comment} onChange={(event) => setComment(event.currentTarget.value)} />
              {groups.data && groups.data.deploymentGroups.length > 1 && (
                <Checkbox.Group
                  label="Some groups first"
                  description="Choose none to give it to everybody at once"
                  value={first}
                  onChange={setFirst}
                >
                  <div className="stack stack--tight checks">
                    {groups.data.deploymentGroups.map((group) => (
                      <Checkbox key={group.id} value={group.id} label={`${group.name} (${group.endpointCount} endpoints)`} />
                    ))}
                  </div>
                </Checkbox.Group>
              )}
              {refused && (refused.code === "STALE_VERSION" || refused.code === "CONFLICT") ? (
                <Note tone="warn" title="Somebody else changed this policy">
                  Copy what you need from the JSON, then load the page again to start from the newest revision.
                </Note>
              ) : (
                <ProblemNote problem={refused?.fields.length ? undefined : refused} />
              )}
              <Button loading={revise.running || stage.running} disabled={!changed || draft.unreadable !== undefined || staged != null} onClick={() => void save()}>
                {first.length > 0 ? "Stage revision" : "Save revision"}
              </Button>
            </div>
          </Card>
        }
      />
      {changed && !draft.unreadable && (
        <div className="columns columns--half">
          <Card title="What changes">
            <DiffView before={policy.document} after={draft.raw} />
          </Card>
          <Impact document={draft.raw} policyId={policy.id} />
        </div>
      )}
      {changed && !draft.unreadable && policy.type !== "LEAST_PRIVILEGE" && <TryAction policy={policy} draft={draft.raw} />}
    </div>
  );
}
