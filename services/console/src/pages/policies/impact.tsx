import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { OutcomeTag } from "../../parts/tags";
import { Visible } from "../../parts/visible";

const ImpactLook = graphql(`
  query PolicyImpact($document: PolicyDocument!, $policyId: ID, $days: Int!) {
    policyImpact(document: $document, policyId: $policyId, days: $days) {
      days actions newlyDenied newlyRequired newlyAllowed unchanged
      examples { actionType summary userName machineName occurrences before after }
    }
  }
`);

/** Runs the draft over what really happened in the last week, when somebody asks for it. */
export function Impact({ document, policyId }: { document: Record<string, unknown>; policyId: string }) {
  const [asked, setAsked] = useState<Record<string, unknown>>();
  return (
    <Card
      title="What it would have changed"
      actions={
        <Button size="xs" variant="default" disabled={asked === document} onClick={() => setAsked(document)}>
          Try on the last 7 days
        </Button>
      }
    >
      {asked ? (
        <ImpactBody document={asked} policyId={policyId} />
      ) : (
        <p className="soft">Runs this draft over the recorded actions: what would newly be refused, asked or allowed, and for whom.</p>
      )}
    </Card>
  );
}

function ImpactBody({ document, policyId }: { document: Record<string, unknown>; policyId: string }) {
  const look = useLook(ImpactLook, { document, policyId, days: 7 });
  return (
    <Ready look={look}>
      {({ policyImpact: impact }) => (
        <div className="stack">
          <p>
            Of {impact.actions} actions, {impact.newlyDenied} would newly be denied, {impact.newlyRequired} newly asked, {impact.newlyAllowed} newly
            allowed; {impact.unchanged} stay as they are.
          </p>
          {impact.examples.length > 0 && (
            <Table
              caption="Examples"
              rows={impact.examples.map((example, index) => ({ ...example, index }))}
              rowKey={(row) => row.index}
              columns={[
                { label: "Action", bare: true, cell: (row) => <Visible text={row.summary} /> },
                { label: "Times", cell: (row) => row.occurrences },
                { label: "Was", cell: (row) => <OutcomeTag outcome={row.before} /> },
                { label: "Becomes", cell: (row) => <OutcomeTag outcome={row.after} /> },
              ]}
            />
          )}
        </div>
      )}
    </Ready>
  );
}
