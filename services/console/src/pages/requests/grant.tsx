import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useAct } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import { Card, Facts } from "../../parts/page";
import { Note } from "../../parts/states";
import { ActorName, GrantTag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import type { RequestView } from "./request";

const RevokeAct = graphql(`
  mutation RevokeGrant($input: RevokeGrantInput!) {
    revokeGrant(input: $input) { request { id status grant { id status } } position }
  }
`);

/** The permission that came of the approval, and how to take it back. */
export function GrantCard({ request, grant }: { request: RequestView; grant: NonNullable<RequestView["grant"]> }) {
  const viewer = useViewer();
  const [asking, setAsking] = useState(false);
  const revoke = useAct(RevokeAct, "The grant is revoked");
  return (
    <Card
      title="Grant"
      actions={
        grant.status === "ACTIVE" && can(viewer, "decide") ? (
          <Button size="xs" variant="default" onClick={() => setAsking(true)}>
            Revoke…
          </Button>
        ) : undefined
      }
    >
      <div className="stack">
        {grant.overused > 0 && (
          <Note tone="bad" title="Used more often than allowed">
            An endpoint that was offline reported {grant.overused} use{grant.overused === 1 ? "" : "s"} beyond the limit.
          </Note>
        )}
        <Facts
          items={[
            ["Status", <GrantTag key="s" status={grant.status} />],
            ["Valid from", <When key="f" at={grant.notBefore} plain />],
            ["Valid until", <When key="u" at={grant.expiresAt} plain />],
            ["Used", `${grant.used} of ${grant.uses ?? "unlimited"}`],
            ["One-time code", grant.mfaOutstanding ? "Still asked at each use" : "Not asked"],
            ["Revoked", grant.revokedAt && <When key="r" at={grant.revokedAt} />],
            ["Revoked by", grant.revokedBy && <ActorName key="b" actor={grant.revokedBy} />],
            ["Reason", grant.revokeReason],
          ]}
        />
      </div>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title="Revoke this grant?"
        action="Revoke"
        dangerous
        reason={{ label: "Reason", required: true }}
        running={revoke.running}
        problem={revoke.problem}
        onConfirm={(reason) =>
          void revoke.run({ input: { requestId: request.id, reason } }).then((done) => done && setAsking(false))
        }
      >
        The endpoint refuses it as soon as it hears of this. Uses that already happened stay in the audit trail.
      </Confirm>
    </Card>
  );
}
