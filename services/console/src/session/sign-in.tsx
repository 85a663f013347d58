import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link, Navigate, useSearchParams } from "react-router";
import { Note } from "../parts/states";
import { DoorFrame } from "./door-frame";
import { Refusal, signIn } from "./doors";
import { tellOtherTabs, useSession } from "./session";

const KEPT_TENANT = "portcullis.tenant";

function keptTenant(): string {
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
  const [refusal, setRefusal] = useState<string>();
  const [running, setRunning] = useState(false);

  if (state.kind === "in") return <Navigate to={safeNext(params.get("next"))} replace />;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setRunning(true);
    setRefusal(undefined);
    try {
      await signIn({ tenant: tenant.trim(), email: email.trim(), password, ...(askCode ? { code: code.trim() } : {}) });
      keepTenant(tenant.trim());
      await renew();
      tellOtherTabs();
    } catch (error) {
      if (error instanceof Refusal && error.code === "CODE_NEEDED") {
        setAskCode(true);
      } else {
        setRefusal(error instanceof Error ? error.message : "Signing in failed.");
      }
    } finally {
      setRunning(false);
    }
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
            description="Six digits from your authenticator app"
            name="code"
            required
            inputMode="numeric"
            autoComplete="one-time-code"
            autoFocus
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
        )}
        <Button type="submit" loading={running} fullWidth>
          Sign in
        </Button>
        <Link className="small" to="/password-reset">
          Forgotten your password?
        </Link>
      </form>
    </DoorFrame>
  );
}
