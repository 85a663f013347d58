import { Button, NativeSelect, NumberInput, Textarea } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useAct, useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { ProblemNote } from "../../parts/states";
import { duration } from "../../parts/time";
import { PROVE, ProveFirst } from "./prove-first";
import type { RequestView } from "./request";

const ApproveAct = graphql(`
  mutation Approve($input: ApproveInput!) {
    approve(input: $input) { request { id status } position }
  }
`);

const DenyAct = graphql(`
  mutation Deny($input: DenyInput!) {
    deny(input: $input) { request { id status } position }
  }
`);

const DecideSettings = graphql(`
  query DecideSettings {
    settings { requireDenialComment }
  }
`);

/** Why somebody may not decide, by the server's code. */
const refusals: Record<string, string> = {
  SELF_APPROVAL: "This is your own request. Somebody else has to decide it.",
  NOT_ELIGIBLE: "This request is routed to other people.",
  ALREADY_DECIDED: "You have already decided. More people have to before it takes effect.",
  EXPIRED: "Its time is over.",
};

/** Windows a grant may be narrowed to, in minutes; those longer than what the request offers are left out. */
export function narrowings(offered: number): number[] {
  return [15, 30, 60, 120, 240, 480, 1440].filter((minutes) => minutes < offered);
}

export function Decide({ request, reload }: { request: RequestView; reload: () => void }) {
  const approve = useAct(ApproveAct, "Approved");
  const deny = useAct(DenyAct, "Denied");
  const settings = useLook(DecideSettings, {});
  const [comment, setComment] = useState("");
  const [minutes, setMinutes] = useState("");
  const [uses, setUses] = useState<number | "">("");
  const [proving, setProving] = useState<{ verdict: "approve" | "deny"; methods: string[] }>();
  const open = request.status === "PENDING" || request.status === "ESCALATED";
  if (!open) return null;
  if (!request.viewerCanDecide) {
    // Those whose roles never decide need not be told so at each request.
    if (request.viewerRefusal === "FORBIDDEN") return null;
    return (
      <Card title="Decision">
        <p className="soft">{refusals[request.viewerRefusal ?? ""] ?? "You may read this request, but not decide it."}</p>
      </Card>
    );
  }
  const problem = [approve.problem, deny.problem].find((each) => each && each.code !== PROVE);
  const common = { requestId: request.id, digest: request.digest, comment: comment.trim() || null };
  const commentMissing = settings.data?.settings.requireDenialComment === true && comment.trim() === "";
  const most = request.deadlines.grantUses ?? 1000;
  const decide = async (verdict: "approve" | "deny") => {
    const { problem: refused } =
      verdict === "approve"
        ? await approve.attempt({ input: { ...common, grantMinutes: minutes ? Number(minutes) : null, grantUses: uses === "" ? null : uses } })
        : await deny.attempt({ input: common });
    setProving(refused?.code === PROVE ? { verdict, methods: refused.methods ?? [] } : undefined);
    // After any other refusal the page is out of date: somebody decided, or the time ran out.
    if (refused && refused.code !== PROVE) reload();
  };
  if (proving) {
    return (
      <ProveFirst
        methods={proving.methods}
        onCancel={() => setProving(undefined)}
        onDone={() => {
          setProving(undefined);
          void decide(proving.verdict);
        }}
      />
    );
  }
  return (
    <Card title="Your decision">
      <form className="stack" onSubmit={(event) => event.preventDefault()}>
        <Textarea
          label="Comment"
          description={settings.data?.settings.requireDenialComment ? "Needed to deny; the requester reads it" : "The requester reads it"}
          rows={3}
          maxLength={4096}
          value={comment}
          onChange={(event) => setComment(event.currentTarget.value)}
        />
        <div className="fields">
          <NativeSelect
            label="Grant lasts"
            value={minutes}
            onChange={(event) => setMinutes(event.currentTarget.value)}
            data={[
              { value: "", label: `${duration(request.deadlines.grantMinutes)} (as offered)` },
              ...narrowings(request.deadlines.grantMinutes).map((value) => ({ value: String(value), label: duration(value) })),
            ]}
          />
          <NumberInput
            label="Uses"
            placeholder={request.deadlines.grantUses === null ? "Unlimited" : String(request.deadlines.grantUses)}
            min={1}
            max={most}
            allowDecimal={false}
            clampBehavior="strict"
            value={uses}
            onChange={(value) => setUses(typeof value === "number" ? value : "")}
          />
        </div>
        <ProblemNote problem={problem}>{problem?.code === "ALREADY_DECIDED" && "The page shows the newest state now."}</ProblemNote>
        <div className="row">
          <Button
            className="grow"
            color="pine"
            loading={approve.running}
            disabled={deny.running}
            onClick={() => void decide("approve")}
          >
            Approve
          </Button>
          <Button
            className="grow"
            color="brick"
            loading={deny.running}
            disabled={approve.running || commentMissing}
            onClick={() => void decide("deny")}
          >
            Deny
          </Button>
        </div>
        {settings.problem && <ProblemNote problem={settings.problem} />}
      </form>
    </Card>
  );
}
