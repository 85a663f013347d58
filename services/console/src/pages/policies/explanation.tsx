import { graphql } from "../../gql";
import type { ExplanationPartsFragment } from "../../gql/graphql";
import { asSentence } from "../../graphql/problem";
import { Facts } from "../../parts/page";
import { Note } from "../../parts/states";
import { OutcomeTag, PolicyTag, spell, Tag } from "../../parts/tags";
import { duration } from "../../parts/time";
import { ReadersLink } from "../../shell/viewer";

export const ExplanationParts = graphql(`
  fragment ExplanationParts on DecisionExplanation {
    outcome
    steps
    settledBy
    wouldHave { outcome steps }
    considered { matched failedField note policy { id name revision status controls policy { id } } }
    riskLevel
    accessMinutes
    mfaAlways
    messages
    snapshotVersion
    snapshotGone
    same
  }
`);

/** Outcome, the rule that settled it, and each policy with the field it failed by. */
export function Explanation({ explanation }: { explanation: ExplanationPartsFragment }) {
  return (
    <div className="stack">
      {explanation.same === false && (
        <Note tone="warn" title="It comes out differently">
          The engine, run again on the recorded snapshot, gives another answer than the recorded one.
        </Note>
      )}
      {explanation.snapshotGone && (
        <Note tone="warn" title="The recorded snapshot is not kept any more">
          This is the answer of the policies that are in force now.
        </Note>
      )}
      <Facts
        items={[
          [
            "Outcome",
            <span className="row" key="o">
              <OutcomeTag outcome={explanation.outcome} />
              {explanation.steps.length > 0 && <span>{explanation.steps.map(spell).join(", then ")}</span>}
            </span>,
          ],
          ["Settled by", explanation.settledBy],
          [
            "With monitored policies",
            explanation.wouldHave && (
              <span className="row" key="w">
                <OutcomeTag outcome={explanation.wouldHave.outcome} />
                {explanation.wouldHave.steps.map(spell).join(", then ")}
              </span>
            ),
          ],
          ["Risk", explanation.riskLevel],
          ["Access lasts", explanation.accessMinutes != null && duration(explanation.accessMinutes)],
          ["One-time code", explanation.mfaAlways && "Asked every time"],
          ["Messages", explanation.messages.length > 0 && explanation.messages.join(" · ")],
          ["Snapshot", explanation.snapshotVersion != null && `Version ${explanation.snapshotVersion}`],
        ]}
      />
      {explanation.considered.length > 0 && (
        <ul className="plain-list considered" aria-label="Policies that were asked">
          {explanation.considered.map(({ policy, matched, failedField, note }) => (
            <li key={policy.id} className="considered__item">
              <div className="row row--between">
                {policy.policy ? (
                  <ReadersLink className="strong" to={`/policies/${policy.id}`}>
                    {policy.name}
                  </ReadersLink>
                ) : (
                  <span className="strong">{policy.name}</span>
                )}
                <span className="row">
                  <PolicyTag status={policy.status} />
                  <Tag tone={matched ? "good" : "neutral"}>{matched ? "Matched" : "Not matched"}</Tag>
                </span>
              </div>
              <div className="soft small">
                Revision {policy.revision}
                {failedField && (
                  <>
                    ; did not fit by <span className="mono">{failedField}</span>
                  </>
                )}
                {note && <>. {asSentence(note)}</>}
              </div>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
