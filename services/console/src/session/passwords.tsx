import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link, useParams } from "react-router";
import { Note } from "../parts/states";
import { DoorFrame } from "./door-frame";
import { acceptInvitation, askPasswordReset, Refusal, resetPassword, type SecondFactor } from "./doors";
import { type PasskeyOptions, passkeysWork, usePasskey } from "./passkeys";
import { tellOtherTabs, useSession } from "./session";
import { keptTenant } from "./sign-in";

/** The shortest password that the form lets through; the server has the last word. */
export const SHORTEST_PASSWORD = 12;

/** Chooses a password with a token from a mail: for an invitation, the first run, and a reset. */
export function ChoosePassword({ kind }: { kind: "invitation" | "reset" }) {
  const token = useParams().token ?? "";
  const { renew } = useSession();
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const [spent, setSpent] = useState(false);
  const [done, setDone] = useState(false);
  const [running, setRunning] = useState(false);
  const [code, setCode] = useState("");
  const [askCode, setAskCode] = useState(false);
  const [challenge, setChallenge] = useState<PasskeyOptions>();
  const short = password.length > 0 && password.length < SHORTEST_PASSWORD;
  const differs = again.length > 0 && again !== password;

  const choose = async (second: () => Promise<SecondFactor>) => {
    setRunning(true);
    setRefusal(undefined);
    try {
      await (kind === "invitation" ? acceptInvitation : resetPassword)(token, password, await second());
      // The answer has set the cookie of a session.
      await renew();
      tellOtherTabs();
      setDone(true);
    } catch (error) {
      if (error instanceof Refusal && error.code === "CODE_NEEDED") {
        // A passkey's challenge is spent by its answer: each refusal of this kind brings a new one.
        setAskCode(error.methods.includes("totp"));
        setChallenge(error.passkey);
        if (!error.passkey && !error.methods.includes("totp")) setRefusal("Your passkey does not work here any more. Ask an administrator.");
      } else {
        setChallenge(undefined);
        setSpent(error instanceof Refusal && error.code === "INVITATION_INVALID");
        setRefusal(error instanceof Error ? error.message : "The password was not set.");
      }
    } finally {
      setRunning(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void choose(async () => (askCode ? { code: code.trim() } : {}));
  };

  return (
    <DoorFrame title={kind === "invitation" ? "Welcome to Portcullis" : "Choose a new password"}>
      {done ? (
        <div className="stack">
          <Note tone="good" title="Your password is set">
            You are signed in. Next time, your e-mail and this password open the door.
          </Note>
          <Button component={Link} to="/">
            Go on to Portcullis
          </Button>
        </div>
      ) : (
        <form className="stack" onSubmit={submit}>
          {refusal && (
            <Note tone="bad" title={refusal}>
              {spent && (kind === "reset" ? <Link to="/password-reset">Ask for another link</Link> : "An administrator can send you another invitation.")}
            </Note>
          )}
          <PasswordInput
            label="Password"
            description={`At least ${SHORTEST_PASSWORD} characters`}
            required
            autoComplete="new-password"
            value={password}
            error={short ? `At least ${SHORTEST_PASSWORD} characters` : undefined}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
          <PasswordInput
            label="Password, once more"
            required
            autoComplete="new-password"
            value={again}
            error={differs ? "The two are not the same" : undefined}
            onChange={(event) => setAgain(event.currentTarget.value)}
          />
          {(askCode || challenge) && <Note tone="info">Your account has a second factor. It is needed here too.</Note>}
          {askCode && (
            <TextInput
              label="One-time code"
              description="Six digits from your authenticator app, or a recovery code"
              required
              autoComplete="one-time-code"
              autoFocus
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
            />
          )}
          {challenge && passkeysWork() && (
            <Button variant={askCode ? "default" : "filled"} loading={running} onClick={() => void choose(async () => ({ passkey: await usePasskey(challenge) }))}>
              Use a passkey
            </Button>
          )}
          <Button type="submit" variant={challenge && !askCode ? "default" : "filled"} loading={running} disabled={short || password !== again || password === ""}>
            Set password
          </Button>
        </form>
      )}
    </DoorFrame>
  );
}

export function AskPasswordReset() {
  const [tenant, setTenant] = useState(keptTenant);
  const [email, setEmail] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const [done, setDone] = useState(false);
  const [running, setRunning] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setRunning(true);
    setRefusal(undefined);
    try {
      await askPasswordReset(tenant.trim(), email.trim());
      setDone(true);
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "The mail was not asked for.");
    } finally {
      setRunning(false);
    }
  };
  return (
    <DoorFrame title="Reset your password">
      <form className="stack" onSubmit={submit}>
        {refusal && <Note tone="bad">{refusal}</Note>}
        {done && (
          <Note tone="good" title="Look at your mail">
            If there is such an account, a link is on its way to it. It works once, within an hour.
          </Note>
        )}
        <TextInput label="Organisation" description="The short name your administrator gave you" required autoCapitalize="none" spellCheck={false} value={tenant} onChange={(event) => setTenant(event.currentTarget.value)} />
        <TextInput label="E-mail" type="email" required autoComplete="username" value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
        <Button type="submit" loading={running}>
          Send me a link
        </Button>
        <Link className="small" to="/sign-in">
          Back to sign-in
        </Link>
      </form>
    </DoorFrame>
  );
}
