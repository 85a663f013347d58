import { Button, PasswordInput, Switch, Textarea, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { graphql } from "../../gql";
import type { IdentityProviderInput, Role } from "../../gql/graphql";
import { useAct } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { ProblemNote } from "../../parts/states";
import type { ProviderRow } from "./identity-providers";

const CreateAct = graphql(`
  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {
    createIdentityProvider(input: $input) { identityProvider { id } position }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeIdentityProvider($input: ChangeIdentityProviderInput!) {
    changeIdentityProvider(input: $input) {
      identityProvider {
        id name issuer clientId hasClientSecret scopes groupsClaim accountClaim provision emailDomains trustedFactors ceiling
        roleMapping { group role }
      }
      position
    }
  }
`);

const words = (text: string) => text.split(/[\s,]+/).filter((word) => word !== "");

/** One `group = role` a line; a group may hold spaces and `=`. */
export function mappingOf(text: string): { group: string; role: Role }[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const at = line.lastIndexOf("=");
      const group = at < 0 ? line : line.slice(0, at);
      const role = at < 0 ? "" : line.slice(at + 1);
      return { group: group.trim(), role: role.trim().toUpperCase() as Role };
    });
}

export function ProviderForm({ provider, onDone }: { provider: ProviderRow | undefined; onDone: () => void }) {
  const create = useAct(CreateAct, "People can sign in with it now");
  const change = useAct(ChangeAct, "The provider is changed");
  const [name, setName] = useState(provider?.name ?? "");
  const [issuer, setIssuer] = useState(provider?.issuer ?? "");
  const [clientId, setClientId] = useState(provider?.clientId ?? "");
  const [secret, setSecret] = useState("");
  const [scopes, setScopes] = useState((provider?.scopes ?? ["email", "profile"]).join(" "));
  const [groupsClaim, setGroupsClaim] = useState(provider?.groupsClaim ?? "groups");
  const [accountClaim, setAccountClaim] = useState(provider?.accountClaim ?? "");
  const [mapping, setMapping] = useState((provider?.roleMapping ?? []).map(({ group, role }) => `${group} = ${role.toLowerCase()}`).join("\n"));
  const [provision, setProvision] = useState(provider?.provision ?? false);
  const [domains, setDomains] = useState((provider?.emailDomains ?? []).join(" "));
  const [factors, setFactors] = useState((provider?.trustedFactors ?? []).join(" "));
  const act = provider ? change : create;
  const error = (field: string) => messageFor(act.problem?.fields ?? [], field);
  const wrong = mappingOf(mapping).find(({ group, role }) => group === "" || !["AUDITOR", "APPROVER", "ADMIN"].includes(role));

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const input: IdentityProviderInput = {
      name,
      issuer,
      clientId,
      scopes: words(scopes),
      groupsClaim,
      accountClaim: accountClaim.trim() || null,
      roleMapping: mappingOf(mapping),
      provision,
      emailDomains: words(domains),
      trustedFactors: words(factors),
      ...(secret ? { clientSecret: secret } : {}),
    };
    const done = provider
      ? await change.run({ input: { identityProviderId: provider.id, provider: input } })
      : await create.run({ input: { provider: input } });
    if (done) onDone();
  };

  return (
    <form className="stack" onSubmit={submit}>
      <TextInput label="Name" description="Shown on the sign-in page behind “Sign in with”" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
      <TextInput label="Issuer" description={provider ? "Stays: remembered identities belong to it" : "Exactly as the provider writes it, such as https://id.example.com"} required readOnly={provider !== undefined} value={issuer} error={error("issuer")} onChange={(event) => setIssuer(event.currentTarget.value)} />
      <div className="fields">
        <TextInput label="Client ID" required value={clientId} error={error("clientId")} onChange={(event) => setClientId(event.currentTarget.value)} />
        <PasswordInput label="Client secret" description={provider?.hasClientSecret ? "Empty keeps the one there is" : "Empty for a public client"} autoComplete="off" value={secret} error={error("clientSecret")} onChange={(event) => setSecret(event.currentTarget.value)} />
      </div>
      <div className="fields">
        <TextInput label="Scopes" description="Beside openid" value={scopes} error={error("scopes")} onChange={(event) => setScopes(event.currentTarget.value)} />
        <TextInput label="Claim with the groups" required value={groupsClaim} error={error("groupsClaim")} onChange={(event) => setGroupsClaim(event.currentTarget.value)} />
      </div>
      <Textarea
        label="Roles by groups"
        description="One “group = auditor, approver or admin” a line. These roles are given and taken at each sign-in; others stay as given by hand."
        rows={3}
        value={mapping}
        error={wrong ? `“${wrong.group}” needs one of the roles auditor, approver, admin` : error("roleMapping")}
        onChange={(event) => setMapping(event.currentTarget.value)}
      />
      <div className="fields">
        <TextInput label="E-mail domains" description="Empty believes every verified address" value={domains} error={error("emailDomains")} onChange={(event) => setDomains(event.currentTarget.value)} />
        <TextInput label="Trusted second factors" description="Values of amr or acr, such as otp; empty asks for a code here" value={factors} error={error("trustedFactors")} onChange={(event) => setFactors(event.currentTarget.value)} />
      </div>
      <TextInput label="Claim with the endpoint account" description="Such as upn; one that people can't change themselves. Empty links none" value={accountClaim} error={error("accountClaim")} onChange={(event) => setAccountClaim(event.currentTarget.value)} />
      <Switch label="Make an account at the first sign-in" description="Otherwise only people who have one get in" checked={provision} onChange={(event) => setProvision(event.currentTarget.checked)} />
      <ProblemNote problem={act.problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={act.running} disabled={wrong !== undefined}>
          {provider ? "Save" : "Add"}
        </Button>
      </div>
    </form>
  );
}
