import { Button, Checkbox, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { ConfirmAct } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card } from "../../parts/page";
import { expiry, Lifetime, SecretForm } from "../../parts/secret";
import { Section } from "../../parts/section";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";

const AccountsLook = graphql(`
  query ServiceAccounts {
    serviceAccounts {
      id name createdAt
      apiKeys { id label scopes createdAt expiresAt lastUsedAt revokedAt }
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateServiceAccount($input: CreateServiceAccountInput!) {
    createServiceAccount(input: $input) { serviceAccount { id } position }
  }
`);
const IssueAct = graphql(`
  mutation IssueApiKey($input: IssueApiKeyInput!) {
    issueApiKey(input: $input) { secret apiKey { id } serviceAccount { id apiKeys { id } } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteServiceAccount($input: DeleteServiceAccountInput!) {
    deleteServiceAccount(input: $input) { serviceAccount { id } position }
  }
`);
const RevokeAct = graphql(`
  mutation RevokeApiKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) { apiKey { id revokedAt } position }
  }
`);

const scopes: Record<string, string> = {
  "policies:read": "Policies, collections, approval rules",
  "policies:write": "Change them",
  "requests:read": "Requests and grants",
  "requests:write": "Cancel, revoke and expire; never decide",
  "people:read": "Users and teams",
  "people:write": "Change them",
  "fleet:read": "Endpoints and deployment groups",
  "fleet:write": "Change them, issue registration tokens",
  "audit:read": "The audit trail",
};

export function ServiceAccounts() {
  const changes = can(useViewer(), "administer");
  const look = useLook(AccountsLook, {}, { names: ["ServiceAccount", "ApiKey"] });
  const [creating, setCreating] = useState(false);
  const [issuing, setIssuing] = useState<{ id: string; name: string }>();
  const [revoking, setRevoking] = useState<{ id: string; label: string }>();
  const [deleting, setDeleting] = useState<{ id: string; name: string }>();
  const revoke = useAct(RevokeAct, "The key is revoked");
  const remove = useAct(DeleteAct, "The service account is deleted");
  const create = changes && <Button onClick={() => setCreating(true)}>New service account</Button>;
  return (
    <Section of="people" title="Service accounts" about="Programs that use the API, each with keys of its own and no more rights than their scopes." actions={create}>
      <Ready look={look}>
        {({ serviceAccounts }) =>
          serviceAccounts.length === 0 ? (
            <Card flush>
              <Empty title="There are no service accounts yet" action={create}>
                A ticket system, a dashboard or an identity provider gets one each, so that its key can be taken back alone.
              </Empty>
            </Card>
          ) : (
            <div className="stack">
              {serviceAccounts.map((account) => (
                <Card
                  key={account.id}
                  title={account.name}
                  flush
                  actions={
                    changes && (
                      <>
                        <Button size="xs" variant="default" aria-label={`Issue a key for ${account.name}`} onClick={() => setIssuing(account)}>
                          Issue a key…
                        </Button>
                        <Button size="xs" variant="default" aria-label={`Delete ${account.name}`} onClick={() => setDeleting(account)}>
                          Delete…
                        </Button>
                      </>
                    )
                  }
                >
                  {account.apiKeys.length === 0 ? (
                    <Empty title="No keys yet">Issue one, with the scopes that the program needs.</Empty>
                  ) : (
                    <Table
                      caption={`Keys of ${account.name}`}
                      rows={account.apiKeys}
                      rowKey={(row) => row.id}
                      columns={[
                        { label: "Key", bare: true, cell: (row) => <span className="table__key">{row.label}</span> },
                        {
                          label: "Scopes",
                          cell: (row) => (
                            <span className="chips">
                              {row.scopes.map((scope) => (
                                <span className="chip" key={scope}>
                                  {scope}
                                </span>
                              ))}
                            </span>
                          ),
                        },
                        { label: "Used", cell: (row) => (row.lastUsedAt ? <When at={row.lastUsedAt} /> : <span className="soft">Never</span>) },
                        { label: "Expires", cell: (row) => (row.expiresAt ? <When at={row.expiresAt} /> : <span className="soft">Never</span>) },
                        {
                          label: "",
                          cell: (row) =>
                            row.revokedAt ? (
                              <div className="row row--end">
                                <Tag tone="bad">Revoked</Tag>
                              </div>
                            ) : (
                              changes && (
                                <div className="row row--end">
                                  <Button size="compact-sm" variant="default" aria-label={`Revoke ${row.label}`} onClick={() => setRevoking(row)}>
                                    Revoke
                                  </Button>
                                </div>
                              )
                            ),
                        },
                      ]}
                    />
                  )}
                </Card>
              ))}
            </div>
          )
        }
      </Ready>
      <Dialog open={creating} onClose={() => setCreating(false)} title="New service account">
        <AccountForm onDone={() => setCreating(false)} />
      </Dialog>
      <Dialog open={issuing !== undefined} onClose={() => setIssuing(undefined)} title={`A key for ${issuing?.name ?? ""}`}>
        {issuing && <KeyForm serviceAccountId={issuing.id} onDone={() => setIssuing(undefined)} />}
      </Dialog>
      {revoking && (
        <ConfirmAct act={revoke} variables={{ input: { apiKeyId: revoking.id } }} title={`Revoke “${revoking.label}”?`} action="Revoke" onClose={() => setRevoking(undefined)}>
          Programs that use it are refused from their next call on.
        </ConfirmAct>
      )}
      {deleting && (
        <ConfirmAct act={remove} variables={{ input: { serviceAccountId: deleting.id } }} title={`Delete “${deleting.name}”?`} action="Delete" onClose={() => setDeleting(undefined)}>
          All its keys are void at once. What it did stays in the audit trail.
        </ConfirmAct>
      )}
    </Section>
  );
}

function AccountForm({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const create = useAct(CreateAct, "The service account is created");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void create.run({ input: { name: name.trim() } }).then((done) => done && onDone());
      }}
    >
      <TextInput label="Name" description="What it is for, such as “Ticket system, production”" required value={name} error={messageFor(create.problem?.fields ?? [], "name")} onChange={(event) => setName(event.currentTarget.value)} />
      <ProblemNote problem={create.problem} />
      <div className="row row--end">
        <Button type="submit" loading={create.running}>
          Create
        </Button>
      </div>
    </form>
  );
}

function KeyForm({ serviceAccountId, onDone }: { serviceAccountId: string; onDone: () => void }) {
  const [chosen, setChosen] = useState<string[]>([]);
  const [days, setDays] = useState("365");
  const issue = useAct(IssueAct);
  const error = (field: string) => messageFor(issue.problem?.fields ?? [], field);
  const send = async () => (await issue.run({ input: { serviceAccountId, label: "", scopes: chosen, expiresAt: expiry(days) } }))?.issueApiKey.secret;
  return (
    <SecretForm action="Issue key" noun="key" send={send} running={issue.running} problem={issue.problem} disabled={chosen.length === 0} onDone={onDone}>
      <Checkbox.Group label="Scopes" value={chosen} error={error("scopes")} onChange={setChosen}>
        <div className="fields checks">
          {Object.entries(scopes).map(([scope, meaning]) => (
            <Checkbox key={scope} value={scope} label={<span className="mono">{scope}</span>} description={meaning} />
          ))}
        </div>
      </Checkbox.Group>
      <Lifetime days={days} setDays={setDays} choices={[30, 90, 365]} error={error("expiresAt")} />
    </SecretForm>
  );
}
