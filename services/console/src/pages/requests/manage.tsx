import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useAct } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import type { RequestView } from "./request";

const EscalateAct = graphql(`
  mutation Escalate($input: EscalateInput!) {
    escalate(input: $input) { request { id status } position }
  }
`);
const ExpireAct = graphql(`
  mutation Expire($input: ExpireInput!) {
    expire(input: $input) { request { id status } position }
  }
`);
const CancelAct = graphql(`
  mutation CancelRequest($input: CancelRequestInput!) {
    cancelRequest(input: $input) { request { id status } position }
  }
`);

/** Everything that can be done with a request besides deciding it. */
export function ManageRequest({ request }: { request: RequestView }) {
  const [asking, setAsking] = useState<"escalate" | "expire" | "cancel">();
  const escalate = useAct(EscalateAct, "Escalated to the secondary approvers");
  const expire = useAct(ExpireAct, "Expired");
  const cancel = useAct(CancelAct, "Cancelled");
  const close = () => setAsking(undefined);
  const closeIf = (done: unknown) => {
    if (done) close();
  };
  return (
    <>
      {request.viewerCanEscalate && (
        <Button variant="default" onClick={() => setAsking("escalate")}>
          Escalate…
        </Button>
      )}
      {request.viewerCanExpire && (
        <Button variant="default" onClick={() => setAsking("expire")}>
          Expire…
        </Button>
      )}
      {request.viewerCanCancel && (
        <Button variant="default" onClick={() => setAsking("cancel")}>
          Cancel request…
        </Button>
      )}
      <Confirm
        open={asking === "escalate"}
        onClose={close}
        title="Escalate now?"
        action="Escalate"
        reason={{ label: "Reason", required: true }}
        running={escalate.running}
        problem={escalate.problem}
        onConfirm={(reason) => void escalate.run({ input: { requestId: request.id, reason } }).then(closeIf)}
      >
        The secondary approvers are told at once. The primary ones may still decide.
      </Confirm>
      <Confirm
        open={asking === "expire"}
        onClose={close}
        title="Expire this request?"
        action="Expire"
        dangerous
        running={expire.running}
        problem={expire.problem}
        onConfirm={() => void expire.run({ input: { requestId: request.id } }).then(closeIf)}
      >
        It is closed without a decision. Before its deadline the server refuses this.
      </Confirm>
      <Confirm
        open={asking === "cancel"}
        onClose={close}
        title="Cancel this request?"
        action="Cancel the request"
        dangerous
        reason={{ label: "Reason", required: false }}
        running={cancel.running}
        problem={cancel.problem}
        onConfirm={(reason) => void cancel.run({ input: { requestId: request.id, reason: reason || null } }).then(closeIf)}
      >
        It is closed for good. The requester can ask again with a new request.
      </Confirm>
    </>
  );
}
