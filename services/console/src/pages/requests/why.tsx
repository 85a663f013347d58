import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { Ready } from "../../parts/states";
import { Explanation } from "../policies/explanation";

const WhyLook = graphql(`
  query Why($input: ExplainDecisionInput!) {
    explainDecision(input: $input) { ...ExplanationParts }
  }
`);

/** The decision of the request, run again by the server with its reasons; asked for only when somebody wants it. */
export function Why({ requestId }: { requestId: string }) {
  const [open, setOpen] = useState(false);
  return (
    <Card
      title="Why it was asked"
      actions={
        !open ? (
          <Button size="xs" variant="default" onClick={() => setOpen(true)}>
            Explain
          </Button>
        ) : undefined
      }
    >
      {open ? <WhyBody requestId={requestId} /> : <p className="soft">Which policies were considered, which matched, and which rule settled it.</p>}
    </Card>
  );
}

function WhyBody({ requestId }: { requestId: string }) {
  const look = useLook(WhyLook, { input: { requestId } });
  return <Ready look={look}>{(data) => <Explanation explanation={data.explainDecision} />}</Ready>;
}
