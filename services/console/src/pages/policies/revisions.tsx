import { Button, NativeSelect } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { PolicyRevisionsQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import { Card } from "../../parts/page";
import { Empty, Ready, type Tone } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { ActorName, spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { DiffView } from "./diff-view";
import type { PolicyView } from "./policy";

const RevisionsLook = graphql(`
  query PolicyRevisions($id: ID!, $after: String) {
    policy(id: $id) {
      id
      revisions(first: 30, after: $after) {
        nodes { number state document comment at position author { kind name } stagedTo { id name } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);
const RollbackAct = graphql(`
  mutation RollbackPolicy($input: RollbackPolicyInput!) {
    rollbackPolicy(input: $input) { policy { id revision } position }
  }
`);
const PromoteAct = graphql(`
  mutation PromotePolicyRevision($input: PromotePolicyRevisionInput!) {
    promotePolicyRevision(input: $input) { policy { id revision stagedRevision { number } } position }
  }
`);
const WithdrawAct = graphql(`
  mutation WithdrawPolicyRevision($input: WithdrawPolicyRevisionInput!) {
    withdrawPolicyRevision(input: $input) { policy { id revision stagedRevision { number } } position }
  }
`);

type Revision = NonNullable<PolicyRevisionsQuery["policy"]>["revisions"]["nodes"][number];

const tones: Record<Revision["state"], Tone> = { CURRENT: "good", STAGED: "info", SUPERSEDED: "neutral", WITHDRAWN: "neutral" };

export function Revisions({ policy }: { policy: PolicyView }) {
  const cursor = useCursor();
  const look = useLook(RevisionsLook, { id: policy.id, after: cursor.after });
  return (
    <Card flush>
      <Ready look={look}>
        {(data) =>
          data.policy && data.policy.revisions.nodes.length > 0 ? (
            <div className="stack">
              <RevisionTable policy={policy} revisions={data.policy.revisions.nodes} />
              <div className="card__foot">
                <Compare key={data.policy.revisions.nodes[0]?.number} revisions={data.policy.revisions.nodes} />
              </div>
              {(cursor.depth > 0 || data.policy.revisions.pageInfo.hasNextPage) && (
                <div className="card__foot">
                  <Pager cursor={cursor} pageInfo={data.policy.revisions.pageInfo} />
                </div>
              )}
            </div>
          ) : (
            <Empty title="No revisions on this page" />
          )
        }
      </Ready>
    </Card>
  );
}

function RevisionTable({ policy, revisions }: { policy: PolicyView; revisions: Revision[] }) {
  const changes = can(useViewer(), "administer") && !policy.deletedAt;
  const [asking, setAsking] = useState<{ what: "rollback" | "promote" | "withdraw"; revision: number }>();
  const rollback = useAct(RollbackAct, "Rolled back");
  const promote = useAct(PromoteAct, "Promoted: everybody gets it");
  const withdraw = useAct(WithdrawAct, "Withdrawn");
  const close = () => setAsking(undefined);
  const act = { rollback, promote, withdraw };
  const words = {
    rollback: { title: "Roll back?", action: "Roll back", text: "The old document becomes a new revision, for everybody." },
    promote: { title: "Promote this revision?", action: "Promote", text: "Every deployment group gets it." },
    withdraw: { title: "Withdraw this revision?", action: "Withdraw", text: "The groups that have it go back to the current one." },
  };
  return (
    <>
      <Table
        caption="Revisions"
        rows={revisions}
        rowKey={(row) => row.number}
        columns={[
          { label: "Revision", cell: (row) => <span className="strong number">{row.number}</span> },
          {
            label: "State",
            cell: (row) => (
              <span className="row">
                <Tag tone={tones[row.state]}>{spell(row.state)}</Tag>
                {row.state === "STAGED" && <span className="soft small">to {row.stagedTo.map((group) => group.name).join(", ")}</span>}
              </span>
            ),
          },
          { label: "Why", wide: true, cell: (row) => (row.comment ? <Visible prose text={row.comment} /> : <span className="soft">No reason given</span>) },
          { label: "By", cell: (row) => <ActorName actor={row.author} /> },
          { label: "When", cell: (row) => <When at={row.at} /> },
          {
            label: "",
            cell: (row) =>
              changes && (
                <div className="row row--end">
                  {row.state === "SUPERSEDED" && (
                    <Button size="compact-xs" variant="default" onClick={() => setAsking({ what: "rollback", revision: row.number })}>
                      Roll back to this
                    </Button>
                  )}
                  {row.state === "STAGED" && (
                    <>
                      <Button size="compact-xs" onClick={() => setAsking({ what: "promote", revision: row.number })}>
                        Promote
                      </Button>
                      <Button size="compact-xs" variant="default" onClick={() => setAsking({ what: "withdraw", revision: row.number })}>
                        Withdraw
                      </Button>
                    </>
                  )}
                </div>
              ),
          },
        ]}
      />
      {asking && (
        <Confirm
          open
          onClose={close}
          title={words[asking.what].title}
          action={words[asking.what].action}
          reason={{ label: "Comment", required: false }}
          running={act[asking.what].running}
          problem={act[asking.what].problem}
          onConfirm={(comment) =>
            void act[asking.what]
              .run({ input: { policyId: policy.id, revision: asking.revision, comment: comment || null } })
              .then((done: unknown) => done && close())
          }
        >
          {words[asking.what].text}
        </Confirm>
      )}
    </>
  );
}

/** Any two revisions against each other; by default the newest against the one before. */
function Compare({ revisions }: { revisions: Revision[] }) {
  const [newer, setNewer] = useState(revisions[0]?.number ?? 0);
  const [older, setOlder] = useState(revisions[1]?.number ?? revisions[0]?.number ?? 0);
  const before = revisions.find((revision) => revision.number === older);
  const after = revisions.find((revision) => revision.number === newer);
  const data = revisions.map((revision) => ({ value: String(revision.number), label: `Revision ${revision.number}` }));
  if (revisions.length < 2) return <p className="soft">There is only one revision; a later one can be compared with it here.</p>;
  return (
    <div className="stack">
      <h2>Compare</h2>
      <div className="fields">
        <NativeSelect label="From" value={String(older)} onChange={(event) => setOlder(Number(event.currentTarget.value))} data={data} />
        <NativeSelect label="To" value={String(newer)} onChange={(event) => setNewer(Number(event.currentTarget.value))} data={data} />
      </div>
      {before && after && <DiffView before={before.document} after={after.document} />}
    </div>
  );
}
