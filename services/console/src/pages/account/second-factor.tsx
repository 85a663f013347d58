import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { useClient } from "urql";
import { Copy } from "../../parts/copy";
import { Card } from "../../parts/page";
import { Note } from "../../parts/states";
import { Tag } from "../../parts/tags";
import { useToast } from "../../parts/toasts";
import { beginTotp, confirmTotp, removeTotp, type Session, type TotpEnrolment } from "../../session/doors";
import { ViewerLook } from "../../shell/viewer";
import { useTry } from "./tried";

type Stage = { kind: "rest" } | { kind: "enrolling"; enrolment: TotpEnrolment } | { kind: "codes"; codes: string[] } | { kind: "removing" };

/** The authenticator app: setting it up, the recovery codes that come with it, taking it away. */
export function SecondFactor({ session, enrolled }: { session: Session; enrolled: boolean }) {
  const [stage, setStage] = useState<Stage>({ kind: "rest" });
  const client = useClient();
  const toast = useToast();
  // The doors are no GraphQL, so that the viewer's `totpEnrolled` has to be asked for again.
  const refresh = () => client.query(String(ViewerLook), {}, { requestPolicy: "network-only" }).toPromise();
  return (
    <Card title="Second factor" actions={enrolled ? <Tag tone="good">Set up</Tag> : <Tag tone="warn">Not set up</Tag>}>
      {stage.kind === "rest" && <Rest session={session} enrolled={enrolled} onEnrol={(enrolment) => setStage({ kind: "enrolling", enrolment })} onRemove={() => setStage({ kind: "removing" })} />}
      {stage.kind === "enrolling" && (
        <Enrol
          session={session}
          enrolment={stage.enrolment}
          onDone={(codes) => {
            setStage({ kind: "codes", codes });
            void refresh();
          }}
        />
      )}
      {stage.kind === "codes" && <RecoveryCodes codes={stage.codes} onDone={() => setStage({ kind: "rest" })} />}
      {stage.kind === "removing" && (
        <Remove
          session={session}
          onCancel={() => setStage({ kind: "rest" })}
          onDone={() => {
            setStage({ kind: "rest" });
            toast("Your second factor is removed");
            void refresh();
          }}
        />
      )}
    </Card>
  );
}

function Rest({ session, enrolled, onEnrol, onRemove }: { session: Session; enrolled: boolean; onEnrol: (enrolment: TotpEnrolment) => void; onRemove: () => void }) {
  const begin = useTry();
  return (
    <div className="stack">
      {begin.refusal && <Note tone="bad">{begin.refusal}</Note>}
      <p className="soft">
        An authenticator app gives you six digits that change every 30 seconds. They are asked for when you sign in, decide from a mail, or run something as administrator.
      </p>
      {enrolled ? (
        <>
          <p className="soft">For another app or phone, remove it here and set it up anew. Whoever lost theirs asks an administrator.</p>
          <div className="row">
            <Button variant="default" onClick={onRemove}>
              Remove…
            </Button>
          </div>
        </>
      ) : (
        <div className="row">
          <Button loading={begin.running} onClick={() => void begin.run(async () => onEnrol(await beginTotp(session)))}>
            Set up
          </Button>
        </div>
      )}
    </div>
  );
}

function Enrol({ session, enrolment, onDone }: { session: Session; enrolment: TotpEnrolment; onDone: (codes: string[]) => void }) {
  const [code, setCode] = useState("");
  const confirm = useTry();
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void confirm.run(async () => onDone(await confirmTotp(session, code.trim())));
      }}
    >
      <p>Scan the code with your app or type the key into it, then enter the digits it shows.</p>
      {enrolment.qrSvg && <img className="qr" width={200} height={200} alt="QR code with the key below" src={`data:image/svg+xml,${encodeURIComponent(enrolment.qrSvg)}`} />}
      <div className="secret">{enrolment.secret}</div>
      <div className="row">
        <Copy text={enrolment.secret} label="Copy the key" />
        {enrolment.uri.startsWith("otpauth:") && <a href={enrolment.uri}>Open in an app on this device</a>}
      </div>
      <TextInput label="One-time code" required inputMode="numeric" autoComplete="one-time-code" value={code} error={confirm.refusal} onChange={(event) => setCode(event.currentTarget.value)} />
      <div className="row">
        <Button type="submit" loading={confirm.running}>
          Confirm
        </Button>
      </div>
    </form>
  );
}

function RecoveryCodes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  return (
    <div className="stack">
      <Note tone="good">Your authenticator app is set up.</Note>
      <Note tone="warn" title="Keep these recovery codes now">
        Each opens the door once instead of the app, for the day your phone is lost. They are shown this once.
      </Note>
      <ul className="secret plain-list" aria-label="Recovery codes">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="row row--between">
        <Copy text={codes.join("\n")} label="Copy the codes" />
        <Button onClick={onDone}>I have kept them</Button>
      </div>
    </div>
  );
}

function Remove({ session, onCancel, onDone }: { session: Session; onCancel: () => void; onDone: () => void }) {
  const [code, setCode] = useState("");
  const remove = useTry();
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void remove.run(() => removeTotp(session, code.trim())).then((done) => done && onDone());
      }}
    >
      {remove.refusal && <Note tone="bad">{remove.refusal}</Note>}
      <Note tone="warn">Without it, your password alone opens the door, and the recovery codes are void.</Note>
      <TextInput label="One-time code" description="Of the app that is to go, or a recovery code" required autoFocus autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.currentTarget.value)} />
      <div className="row">
        <Button variant="default" onClick={onCancel}>
          Keep it
        </Button>
        <Button type="submit" color="brick" loading={remove.running} disabled={!code.trim()}>
          Remove the second factor
        </Button>
      </div>
    </form>
  );
}
