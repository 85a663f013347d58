import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link, Navigate, useSearchParams } from "react-router";
import { Note } from "../parts/states";
import { DoorFrame } from "./door-frame";
import { Refusal, signIn } from "./doors";
import { type CredentialJson, type PasskeyOptions, passkeysWork, usePasskey } from "./passkeys";
import { CodeAfterProvider, Providers, refusedText } from "./providers";
import { tellOtherTabs, useSession } from "./session";

const KEPT_TENANT = "portcullis.tenant";

export function keptTenant(): string {
  try {
    return localStorage.getItem(KEPT_TENANT) ?? "";
  } catch {
    return "";
  }
}

function keepTenant(tenant: string): void {
  try {
    localStorage.setItem(KEPT_TENANT, tenant);
  } catch {
    // Storage may be closed; then it is typed again next time.
  }
}

/** Only a path of this console is followed after signing in, never an address of somebody else. */
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : "/";
}

export function SignIn() {
  const { state, renew } = useSession();
  const [params] = useSearchParams();
  const [tenant, setTenant] = useState(params.get("tenant") ?? keptTenant());
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [askCode, setAskCode] = useState(false);
  const [challenge, setChallenge] = useState<PasskeyOptions>();
  const [refusal, setRefusal] = useState<string | undefined>(refusedText(params.get("refused")));
  const [running, setRunning] = useState(false);

  if (state.kind === "in") return <Navigate to={safeNext(params.get("next"))} replace />;

  const ticket = params.get("ticket");
  if (ticket) return <CodeAfterProvider ticket={ticket} tenant={params.get("tenant") ?? ""} />;

  const enter = async (proof: () => Promise<{ code?: string; passkey?: CredentialJson }>) => {
    setRunning(true);
    setRefusal(undefined);
    try {
      await signIn({ tenant: tenant.trim(), email: email.trim(), password, ...(await proof()) });
      keepTenant(tenant.trim());
      await renew();
      tellOtherTabs();
    } catch (error) {
      if (error instanceof Refusal && error.code === "CODE_NEEDED") {
        // A passkey's challenge is spent by its answer: each refusal of this kind brings a new one.
        setAskCode(error.methods.length === 0 || error.methods.includes("totp"));
        setChallenge(error.passkey);
        if (!error.passkey && error.methods.length === 1 && error.methods[0] === "passkey") setRefusal("Your passkey does not work here any more. Ask an administrator.");
      } else {
        setChallenge(undefined);
        setRefusal(error instanceof Error ? error.message : "Signing in failed.");
      }
    } finally {
      setRunning(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void enter(async () => (askCode ? { code: code.trim() } : {}));
  };

  return (
    <DoorFrame title="Sign in to Portcullis">
      <form className="stack" onSubmit={submit}>
        {refusal && <Note tone="bad">{refusal}</Note>}
        <TextInput
          label="Organisation"
          description="The short name your administrator gave you"
          name="tenant"
          required
          autoComplete="organization"
          autoCapitalize="none"
          spellCheck={false}
          value={tenant}
          onChange={(event) => setTenant(event.currentTarget.value)}
        />
        <TextInput
          label="E-mail"
          name="email"
          type="email"
          required
          autoComplete="username"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          name="password"
          required
          autoComplete="current-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {askCode && (
          <TextInput
            label="One-time code"
            description="Six digits from your authenticator app, or a recovery code"
            name="code"
            required
            autoComplete="one-time-code"
            autoFocus
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
        )}
        {challenge && passkeysWork() && (
          <Button variant={askCode ? "default" : "filled"} loading={running} fullWidth onClick={() => void enter(async () => ({ passkey: await usePasskey(challenge) }))}>
            Use a passkey
          </Button>
        )}
        <Button type="submit" variant={challenge && !askCode ? "default" : "filled"} loading={running} fullWidth>
          Sign in
        </Button>
        <Providers tenant={tenant.trim()} next={safeNext(params.get("next"))} onLeave={() => keepTenant(tenant.trim())} />
        <Link className="small" to="/password-reset">
          Forgotten your password?
        </Link>
      </form>
    </DoorFrame>
  );
}
