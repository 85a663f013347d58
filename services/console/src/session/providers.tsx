import { Button, TextInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { Link } from "react-router";
import { Note } from "../parts/states";
import { DoorFrame } from "./door-frame";
import { providerAddress, type SignInProvider, signInProviders, signInWithCode } from "./doors";
import { tellOtherTabs, useSession } from "./session";

/** How long nothing is typed before the server is asked, in milliseconds. */
const PAUSE = 300;

const texts: Record<string, string> = {
  ACCOUNT_CLOSED: "This account is closed. Ask an administrator.",
  CLAIMS_INCOMPLETE: "The identity provider left out your groups, so your roles are not known. Ask an administrator.",
  EMAIL_UNVERIFIED: "The identity provider does not vouch for your e-mail address.",
  IDENTITY_LINKED: "Your account belongs to another identity. Ask an administrator to unlink it.",
  NO_ACCOUNT: "There is no account for you yet. Ask an administrator for one.",
  OIDC_REFUSED: "The identity provider did not let you in.",
  OIDC_STATE: "This sign-in was begun in another browser, took too long, or was finished already. Please begin anew.",
  PROVIDER_DISABLED: "Signing in with this identity provider is switched off for now.",
  PROVIDER_UNAVAILABLE: "The identity provider can't be reached for the moment. A password works, if you have one.",
  ROLE_ABOVE_PROVIDER: "Your role is above that of whoever set this identity provider up. Sign in with your password.",
  TENANT_SUSPENDED: "This organisation is suspended.",
};

/** What a refusal in the address says. An unknown one is told in general words: anybody can write an address. */
export function refusedText(code: string | null): string | undefined {
  if (!code) return undefined;
  return texts[code] ?? "Signing in with the identity provider did not work.";
}

/** The ways beside a password. */
export function Providers({ tenant, next, onLeave }: { tenant: string; next: string; onLeave: () => void }) {
  const [found, setFound] = useState<{ tenant: string; providers: SignInProvider[] }>();
  useEffect(() => {
    if (!tenant) return;
    let current = true;
    const timer = setTimeout(async () => {
      const providers = await signInProviders(tenant);
      if (current) setFound({ tenant, providers });
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [tenant]);
  if (!found || found.tenant !== tenant) return null;
  return found.providers.map((provider) => (
    <Button key={provider.id} component="a" variant="default" fullWidth href={providerAddress(tenant, provider.id, next)} onClick={onLeave}>
      Sign in with {provider.name}
    </Button>
  ));
}

/** Whoever comes from a provider and has a second factor here gives it now. */
export function CodeAfterProvider({ ticket, tenant }: { ticket: string; tenant: string }) {
  const { renew } = useSession();
  const [code, setCode] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const [running, setRunning] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setRunning(true);
    setRefusal(undefined);
    try {
      await signInWithCode(ticket, code.trim());
      tellOtherTabs();
      await renew();
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "Signing in failed.");
    } finally {
      setRunning(false);
    }
  };
  return (
    <DoorFrame title="One more step" about="Your identity provider knows you. Your account asks for a one-time code too.">
      <form className="stack" onSubmit={submit}>
        {refusal && <Note tone="bad">{refusal}</Note>}
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
        <Button type="submit" loading={running} fullWidth>
          Sign in
        </Button>
        <Link className="small" to={`/sign-in?tenant=${encodeURIComponent(tenant)}`}>
          Begin anew
        </Link>
      </form>
    </DoorFrame>
  );
}
