import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { Copy } from "../../parts/copy";
import { Card, Facts, Page } from "../../parts/page";
import { Note } from "../../parts/states";
import { Roles, Tag } from "../../parts/tags";
import { beginTotp, confirmTotp, type TotpEnrolment } from "../../session/doors";
import { useSession } from "../../session/session";
import { useViewer } from "../../shell/viewer";

/** One's own account: who one is here, and the second factor. */
export function Account() {
  const viewer = useViewer();
  return (
    <Page title="Your account" about={viewer.user?.email ?? undefined}>
      <div className="columns columns--half">
        <Card title="Who you are here">
          <Facts
            items={[
              ["Name", viewer.principal.name ?? "Unknown"],
              ["E-mail", viewer.user?.email],
              ["Organisation", `${viewer.tenant.name} (${viewer.tenant.slug})`],
              ["Roles", <Roles key="r" roles={viewer.roles} />],
              ["Second factor", viewer.user && (viewer.user.totpEnrolled ? <Tag key="t" tone="good">Set up</Tag> : <Tag key="t" tone="warn">Not set up</Tag>)],
            ]}
          />
        </Card>
        {viewer.user && <SecondFactor enrolled={viewer.user.totpEnrolled} />}
      </div>
    </Page>
  );
}

function SecondFactor({ enrolled }: { enrolled: boolean }) {
  const { state } = useSession();
  const [enrolment, setEnrolment] = useState<TotpEnrolment>();
  const [code, setCode] = useState("");
  const [running, setRunning] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const [done, setDone] = useState(false);
  const guarded = async (work: () => Promise<void>) => {
    setRunning(true);
    setRefusal(undefined);
    try {
      await work();
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "That did not work.");
    } finally {
      setRunning(false);
    }
  };
  if (state.kind !== "in") return null;
  const { session } = state;
  return (
    <Card title="Second factor">
      <div className="stack">
        {refusal && <Note tone="bad">{refusal}</Note>}
        {done && <Note tone="good">Your authenticator app is set up.</Note>}
        {!enrolment && !done && (
          <>
            <p className="soft">
              An authenticator app gives you six digits that change every 30 seconds. They are asked for when you sign in, decide from a mail, or run something as administrator.
            </p>
            <div className="row">
              <Button loading={running} onClick={() => void guarded(async () => setEnrolment(await beginTotp(session)))}>
                {enrolled ? "Set up a new one" : "Set up"}
              </Button>
            </div>
          </>
        )}
        {enrolment && !done && (
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void guarded(async () => {
                await confirmTotp(session, code.trim());
                setDone(true);
              });
            }}
          >
            <p>Scan the code with your app or type the key into it, then enter the digits it shows.</p>
            {enrolment.qrSvg && (
              <img className="qr" width={200} height={200} alt="QR code with the key below" src={`data:image/svg+xml,${encodeURIComponent(enrolment.qrSvg)}`} />
            )}
            <div className="secret">{enrolment.secret}</div>
            <div className="row">
              <Copy text={enrolment.secret} label="Copy the key" />
              {enrolment.uri.startsWith("otpauth:") && <a href={enrolment.uri}>Open in an app on this device</a>}
            </div>
            <TextInput label="One-time code" required inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.currentTarget.value)} />
            <div className="row">
              <Button type="submit" loading={running}>
                Confirm
              </Button>
            </div>
          </form>
        )}
      </div>
    </Card>
  );
}
