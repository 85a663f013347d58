import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Note } from "../../parts/states";
import { passkeyStepUpOptions, type Session, stepUp } from "../../session/doors";
import { passkeysWork, usePasskey } from "../../session/passkeys";
import { useTry } from "./tried";

/** Asks who one is anew, with what the server says will do: `totp`, `passkey` or `password`. */
export function Prove({ session, methods, onDone, onCancel }: { session: Session; methods: string[]; onDone: () => void; onCancel: () => void }) {
  const [given, setGiven] = useState("");
  const [by, setBy] = useState<"typing" | "passkey">("typing");
  const proof = useTry();
  const typed = methods.includes("totp") ? "code" : methods.includes("password") ? "password" : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setBy("typing");
    if (typed) void proof.run(() => stepUp(session, { [typed]: given.trim() })).then((done) => done && onDone());
  };
  const wrong = typed && by === "typing" ? proof.refusal : undefined;
  const byPasskey = async () => stepUp(session, { passkey: await usePasskey(await passkeyStepUpOptions(session)) });
  return (
    <form className="stack" onSubmit={submit}>
      {proof.refusal && wrong === undefined && <Note tone="bad">{proof.refusal}</Note>}
      {methods.length === 0 && <Note tone="warn">This needs a second factor. Set one up in your account first.</Note>}
      {typed === "code" && <TextInput label="One-time code, once more" required autoComplete="one-time-code" value={given} error={wrong} onChange={(event) => setGiven(event.currentTarget.value)} />}
      {typed === "password" && (
        <PasswordInput label="Your password, once more" required autoComplete="current-password" value={given} error={wrong} onChange={(event) => setGiven(event.currentTarget.value)} />
      )}
      <div className="row">
        <Button variant="default" onClick={onCancel}>
          Cancel
        </Button>
        {methods.includes("passkey") && passkeysWork() && (
          <Button
            loading={proof.running}
            onClick={() => {
              setBy("passkey");
              void proof.run(byPasskey).then((done) => done && onDone());
            }}
          >
            Use a passkey
          </Button>
        )}
        {typed && (
          <Button type="submit" loading={proof.running} disabled={!given.trim()}>
            Go on
          </Button>
        )}
      </div>
    </form>
  );
}
