import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { IdentityProvidersQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import { Copy } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Card, Facts } from "../../parts/page";
import { Section } from "../../parts/section";
import { Empty, Note, ProblemNote, Ready } from "../../parts/states";
import { spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { ProviderForm } from "./identity-provider-form";

const ProvidersLook = graphql(`
  query IdentityProviders {
    signInRedirectUri
    identityProviders {
      id name issuer clientId hasClientSecret scopes groupsClaim accountClaim provision emailDomains trustedFactors
      ceiling disabled checkedAt problem
      roleMapping { group role }
    }
  }
`);
const CheckAct = graphql(`
  mutation CheckIdentityProvider($input: IdentityProviderIdInput!) {
    checkIdentityProvider(input: $input) { identityProvider { id checkedAt problem } position }
  }
`);
const DisableAct = graphql(`
  mutation DisableIdentityProvider($input: IdentityProviderIdInput!) {
    disableIdentityProvider(input: $input) { identityProvider { id disabled } position }
  }
`);
const EnableAct = graphql(`
  mutation EnableIdentityProvider($input: IdentityProviderIdInput!) {
    enableIdentityProvider(input: $input) { identityProvider { id disabled } position }
  }
`);
const RemoveAct = graphql(`
  mutation RemoveIdentityProvider($input: IdentityProviderIdInput!) {
    removeIdentityProvider(input: $input) { identityProvider { id removedAt } position }
  }
`);

export type ProviderRow = IdentityProvidersQuery["identityProviders"][number];

export function IdentityProviders() {
  const changes = can(useViewer(), "administer");
  const look = useLook(ProvidersLook, {}, { names: ["IdentityProvider"] });
  const [form, setForm] = useState<{ provider?: ProviderRow }>();
  const [removing, setRemoving] = useState<ProviderRow>();
  const check = useAct(CheckAct, "The provider was asked");
  const disable = useAct(DisableAct, "Nobody signs in with it for now");
  const enable = useAct(EnableAct, "People can sign in with it again");
  const remove = useAct(RemoveAct, "The provider is removed");
  const add = changes && <Button onClick={() => setForm({})}>New identity provider</Button>;
  return (
    <Section of="settings" title="Identity providers" about="People sign in with your organisation's own provider (OpenID Connect) instead of a password." actions={add}>
      <Ready look={look}>
        {({ identityProviders, signInRedirectUri }) => (
          <div className="stack">
            <Card title="To be entered at the provider" actions={<Copy text={signInRedirectUri} />}>
              <Facts items={[["Redirect URI", <span key="uri" className="mono">{signInRedirectUri}</span>]]} />
            </Card>
            <ProblemNote problem={check.problem ?? disable.problem ?? enable.problem} />
            {identityProviders.length === 0 ? (
              <Card flush>
                <Empty title="There are no identity providers yet" action={add}>
                  Register Portcullis at your provider with the redirect URI above, then enter here what it gave you.
                </Empty>
              </Card>
            ) : (
              identityProviders.map((provider) => {
                const input = { identityProviderId: provider.id };
                const label = (verb: string) => `${verb} ${provider.name}`;
                return (
                  <Card
                    key={provider.id}
                    title={provider.name}
                    actions={
                      changes && (
                        <>
                          <Button size="xs" variant="default" aria-label={label("Check")} loading={check.running} onClick={() => void check.run({ input })}>
                            Check
                          </Button>
                          <Button size="xs" variant="default" aria-label={label("Change")} onClick={() => setForm({ provider })}>
                            Change…
                          </Button>
                          <Button size="xs" variant="default" aria-label={label(provider.disabled ? "Enable" : "Disable")} onClick={() => void (provider.disabled ? enable : disable).run({ input })}>
                            {provider.disabled ? "Enable" : "Disable"}
                          </Button>
                          <Button size="xs" variant="default" aria-label={label("Remove")} onClick={() => setRemoving(provider)}>
                            Remove…
                          </Button>
                        </>
                      )
                    }
                  >
                    <div className="stack">
                      {provider.problem && (
                        <Note tone="bad" title="The last check failed">
                          {provider.problem}
                        </Note>
                      )}
                      <ProviderFacts provider={provider} />
                    </div>
                  </Card>
                );
              })
            )}
          </div>
        )}
      </Ready>
      <Dialog open={form !== undefined} onClose={() => setForm(undefined)} title={form?.provider ? `Change ${form.provider.name}` : "New identity provider"} wide>
        {form && <ProviderForm provider={form.provider} onDone={() => setForm(undefined)} />}
      </Dialog>
      <Confirm
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove ${removing?.name ?? ""}?`}
        action="Remove"
        dangerous
        running={remove.running}
        problem={remove.problem}
        onConfirm={async () => {
          if (removing && (await remove.run({ input: { identityProviderId: removing.id } }))) setRemoving(undefined);
        }}
      >
        Nobody signs in with it any more, and its client secret is forgotten. Sessions that are open stay.
      </Confirm>
    </Section>
  );
}

function ProviderFacts({ provider }: { provider: ProviderRow }) {
  const list = (words: readonly string[]) => (words.length > 0 ? words.join(", ") : null);
  const mapping = provider.roleMapping.map(({ group, role }) => `${group} → ${spell(role)}`);
  return (
    <Facts
      items={[
        ["Status", <Tag key="s" tone={provider.disabled ? "neutral" : "good"}>{provider.disabled ? "Disabled" : "Enabled"}</Tag>],
        ["Issuer", <span className="mono" key="i">{provider.issuer}</span>],
        ["Client", <span className="mono" key="c">{provider.clientId}</span>],
        ["Client secret", provider.hasClientSecret ? "Kept in the vault" : "None"],
        ["Roles by groups", list(mapping) ?? "None: by hand"],
        ["First sign-in", provider.provision ? "Makes an account" : "Needs an account"],
        ["Addresses of", list(provider.emailDomains) ?? "Any domain that is verified"],
        ["Second factor", list(provider.trustedFactors) ?? "A one-time code here, where one is enrolled"],
        ["Endpoint account", provider.accountClaim],
        ["Signs in up to", spell(provider.ceiling)],
        ["Checked", provider.checkedAt ? <When key="w" at={provider.checkedAt} /> : "Never"],
      ]}
    />
  );
}
