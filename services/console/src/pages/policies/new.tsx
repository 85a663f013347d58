import { Button, Textarea } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";
import { graphql } from "../../gql";
import { useAct } from "../../graphql/hooks";
import { Card, Page } from "../../parts/page";
import { ProblemNote } from "../../parts/states";
import { emptyDocument } from "./document";
import { PolicyEditor, useDraft, useReport } from "./editor";

const CreateAct = graphql(`
  mutation CreatePolicy($input: CreatePolicyInput!) {
    createPolicy(input: $input) { policy { id } position }
  }
`);

export function NewPolicy() {
  const navigate = useNavigate();
  const [start] = useState(emptyDocument);
  const draft = useDraft(start);
  const report = useReport(draft.raw, null);
  const create = useAct(CreateAct, "The policy is saved");
  const [comment, setComment] = useState("");
  const problems = create.problem?.fields.length ? create.problem.fields : report.problems;
  const touched = draft.raw !== start;
  return (
    <Page title="New policy" trail={{ to: "/policies", label: "Policies" }} about="Start with monitor: it records what the policy would do, and changes nothing.">
      <PolicyEditor
        draft={{
          ...draft,
          setRaw: (raw) => {
            create.clear();
            draft.setRaw(raw);
          },
        }}
        problems={touched ? problems : []}
        warnings={report.warnings}
        lockType={false}
        aside={
          <Card title="Save">
            <div className="stack">
              <Textarea label="Comment" description="Why; it stands with the revision and in the audit trail" rows={2} value={comment} onChange={(event) => setComment(event.currentTarget.value)} />
              <ProblemNote problem={create.problem?.fields.length ? undefined : create.problem} />
              <Button
                loading={create.running}
                disabled={draft.unreadable !== undefined}
                onClick={() =>
                  void create
                    .run({ input: { document: draft.raw, comment: comment.trim() || null } })
                    .then((data) => data && navigate(`/policies/${data.createPolicy.policy.id}`))
                }
              >
                Create policy
              </Button>
            </div>
          </Card>
        }
      />
    </Page>
  );
}
