import { Card, Facts, Page } from "../../parts/page";
import { Roles } from "../../parts/tags";
import { useSession } from "../../session/session";
import { useViewer } from "../../shell/viewer";
import { Passkeys } from "./passkeys";
import { Password } from "./password";
import { SecondFactor } from "./second-factor";
import { Sessions } from "./sessions";

/** One's own account: who one is here, and how one proves it. */
export function Account() {
  const viewer = useViewer();
  const { state } = useSession();
  return (
    <Page title="Your account" about="Who you are here, how you prove it, and where you are signed in.">
      <div className="columns columns--half">
        <div className="stack">
          <Card title="Profile">
            <Facts
              items={[
                ["Name", viewer.principal.name ?? "Unknown"],
                ["E-mail", viewer.user?.email],
                ["Organisation", `${viewer.tenant.name} (${viewer.tenant.slug})`],
                ["Roles", <Roles key="r" roles={viewer.roles} />],
                ["Changes", <span key="c" className="soft">Name, e-mail and roles are changed by administrators</span>],
              ]}
            />
          </Card>
          {viewer.user && state.kind === "in" && <SecondFactor session={state.session} enrolled={viewer.user.totpEnrolled} />}
        </div>
        <div className="stack">
          {viewer.user && state.kind === "in" && <Password session={state.session} />}
          {viewer.user && state.kind === "in" && <Passkeys session={state.session} />}
        </div>
      </div>
      {state.kind === "in" && <Sessions session={state.session} />}
    </Page>
  );
}
