import type { ReactNode } from "react";
import type { Tone } from "../../parts/states";
import { ActorName, spell, Tag } from "../../parts/tags";
import { duration, When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import type { RequestView } from "./request";

interface Step {
  at: string;
  tone: Tone;
  what: ReactNode;
  detail?: ReactNode;
}

/** The request's life so far, in order. */
export function Course({ request }: { request: RequestView }) {
  const steps: Step[] = [{ at: request.submittedAt, tone: "info", what: "Submitted" }];
  if (request.escalation) {
    steps.push({
      at: request.escalation.at,
      tone: "warn",
      what: request.escalation.by ? (
        <>
          Escalated by <ActorName actor={request.escalation.by} />
        </>
      ) : (
        "Escalated at the deadline"
      ),
      detail: request.escalation.reason && <Visible text={request.escalation.reason} prose />,
    });
  }
  for (const decision of request.decisions) {
    steps.push({
      at: decision.at,
      tone: decision.verdict === "APPROVED" ? "good" : "bad",
      what: (
        <>
          {spell(decision.verdict)} by <ActorName actor={decision.by} />
        </>
      ),
      detail: (
        <div className="stack stack--tight">
          {decision.comment && <Visible text={decision.comment} prose />}
          <span className="chips">
            <Tag outline>{spell(decision.as)}</Tag>
            {decision.authentication && <Tag outline>{decision.authentication}</Tag>}
            {decision.ownRequest && <Tag tone="warn">Own request</Tag>}
            {decision.grantMinutes != null && <Tag outline>Narrowed to {duration(decision.grantMinutes)}</Tag>}
            {decision.grantUses != null && <Tag outline>Narrowed to {decision.grantUses} uses</Tag>}
          </span>
        </div>
      ),
    });
  }
  if (request.status === "EXPIRED" || request.status === "CANCELLED") {
    steps.push({
      at: request.decidedAt ?? request.submittedAt,
      tone: "neutral",
      what: spell(request.status),
      detail: request.cancelReason && <Visible text={request.cancelReason} prose />,
    });
  }
  steps.sort((one, other) => one.at.localeCompare(other.at));
  return (
    <ol className="course">
      {steps.map((step, index) => (
        <li className="course__step" key={index}>
          <span className={`course__mark course__mark--${step.tone}`} />
          <div className="stack stack--tight">
            <div>
              <div className="strong">{step.what}</div>
              <div className="soft small">
                <When at={step.at} />
              </div>
            </div>
            {step.detail}
          </div>
        </li>
      ))}
    </ol>
  );
}
