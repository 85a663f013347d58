import { Link } from "react-router";
import { Card } from "../../parts/page";
import { Note } from "../../parts/states";
import { useSession } from "../../session/session";
import { Prove } from "../account/prove";

/** The refusal that asks for a fresh proof of who one is. */
export const PROVE = "STEP_UP_NEEDED";

/** Where the organisation wants a fresh second factor with decisions: asks for it, then lets the decision go on. */
export function ProveFirst({ methods, onDone, onCancel }: { methods: string[]; onDone: () => void; onCancel: () => void }) {
  const { state } = useSession();
  if (state.kind !== "in") return null;
  return (
    <Card title="Prove that it is you">
      <div className="stack">
        <p className="soft">Your organisation wants a second factor with decisions. It holds for five minutes.</p>
        {methods.length === 0 ? (
          <Note tone="warn" title="You have no second factor yet">
            <Link to="/account">Set one up in your account</Link>, then come back.
          </Note>
        ) : (
          <Prove session={state.session} methods={methods} onDone={onDone} onCancel={onCancel} />
        )}
      </div>
    </Card>
  );
}
