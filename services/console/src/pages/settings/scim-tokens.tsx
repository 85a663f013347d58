import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import { useAct } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { ConfirmAct } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card } from "../../parts/page";
import { expiry, Lifetime, SecretForm } from "../../parts/secret";
import { Empty, Note } from "../../parts/states";
import { Table } from "../../parts/table";
import { spell, Tag } from "../../parts/tags";
import { useNow, When } from "../../parts/time";
import type { Scim } from "./provisioning";

const IssueAct = graphql(`
  mutation IssueScimToken($input: IssueScimTokenInput!) {
    issueScimToken(input: $input) { secret scimToken { id } position }
  }
`);
const RotateAct = graphql(`
  mutation RotateScimToken($input: RotateScimTokenInput!) {
    rotateScimToken(input: $input) { secret scimToken { id } position }
  }
`);
const RevokeAct = graphql(`
  mutation RevokeScimToken($input: RevokeScimTokenInput!) {
    revokeScimToken(input: $input) { scimToken { id revokedAt } position }
  }
`);

type Token = Scim["tokens"][number];

/** What a token is good for at this moment. */
export function scimTokenState(token: Pick<Token, "revokedAt" | "expiresAt" | "replacedById">, now: number): "Revoked" | "Expired" | "Being replaced" | "Valid" {
  if (token.revokedAt) return "Revoked";
  if (token.expiresAt && Date.parse(token.expiresAt) <= now) return "Expired";
  return token.replacedById ? "Being replaced" : "Valid";
}

/** The tokens with which identity providers come, dead ones too; two are live at once at most. */
export function ScimTokens({ tokens, changes }: { tokens: readonly Token[]; changes: boolean }) {
  const now = useNow(60_000);
  const [issuing, setIssuing] = useState(false);
  const [rotating, setRotating] = useState<Token>();
  const [revoking, setRevoking] = useState<Token>();
  const revoke = useAct(RevokeAct, "The token is revoked");
  const issue = changes && (
    <Button size="xs" onClick={() => setIssuing(true)}>
      Issue a token
    </Button>
  );
  return (
    <Card title="Tokens" actions={issue} flush>
      {tokens.length === 0 ? (
        <Empty title="There is no token yet">An identity provider needs one to be let in.</Empty>
      ) : (
        <Table
          caption="SCIM tokens"
          rows={tokens}
          rowKey={(row) => row.id}
          columns={[
            { label: "Name", bare: true, cell: (row) => <span className="table__main">{row.label}</span> },
            {
              label: "State",
              cell: (row) => {
                const state = scimTokenState(row, now);
                return <Tag tone={state === "Valid" ? "good" : state === "Being replaced" ? "warn" : state === "Revoked" ? "bad" : "neutral"}>{state}</Tag>;
              },
            },
            { label: "Reaches up to", cell: (row) => spell(row.role) },
            { label: "Last used", cell: (row) => (row.lastUsedAt ? <When at={row.lastUsedAt} /> : <span className="soft">Never</span>) },
            { label: "Expires", cell: (row) => (row.expiresAt ? <When at={row.expiresAt} /> : <span className="soft">Never</span>) },
            {
              label: "",
              cell: (row) => {
                const state = scimTokenState(row, now);
                return (
                  <div className="row row--end">
                    <Button component={Link} size="compact-sm" variant="default" aria-label={`What it did: ${row.label}`} to={`/audit?actor=${row.id}`}>
                      What it did
                    </Button>
                    {changes && state === "Valid" && (
                      <Button size="compact-sm" variant="default" aria-label={`Rotate ${row.label}`} onClick={() => setRotating(row)}>
                        Rotate
                      </Button>
                    )}
                    {changes && (state === "Valid" || state === "Being replaced") && (
                      <Button size="compact-sm" variant="default" aria-label={`Revoke ${row.label}`} onClick={() => setRevoking(row)}>
                        Revoke
                      </Button>
                    )}
                  </div>
                );
              },
            },
          ]}
        />
      )}
      <Dialog open={issuing} onClose={() => setIssuing(false)} title="Issue a SCIM token">
        <IssueForm onDone={() => setIssuing(false)} />
      </Dialog>
      <Dialog open={rotating !== undefined} onClose={() => setRotating(undefined)} title={`Rotate ${rotating?.label ?? ""}`}>
        {rotating && <RotateForm token={rotating} onDone={() => setRotating(undefined)} />}
      </Dialog>
      {revoking && (
        <ConfirmAct act={revoke} variables={{ input: { scimTokenId: revoking.id } }} title={`Revoke “${revoking.label}”?`} action="Revoke" onClose={() => setRevoking(undefined)}>
          The next call with it is refused. Users and teams that it brought stay as they are.
        </ConfirmAct>
      )}
    </Card>
  );
}

const lifetimes = [90, 180, 365];

function IssueForm({ onDone }: { onDone: () => void }) {
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("365");
  const issue = useAct(IssueAct);
  const error = (field: string) => messageFor(issue.problem?.fields ?? [], field);
  const send = async () => (await issue.run({ input: { label: label.trim(), expiresAt: expiry(days) } }))?.issueScimToken.secret;
  return (
    <SecretForm action="Issue token" noun="token" send={send} running={issue.running} problem={error("label") || error("expiresAt") ? undefined : issue.problem} disabled={!label.trim()} onDone={onDone}>
      <TextInput label="Name" description="Such as the identity provider's" required maxLength={200} value={label} error={error("label")} onChange={(event) => setLabel(event.currentTarget.value)} />
      <Lifetime days={days} setDays={setDays} choices={lifetimes} error={error("expiresAt")} />
      <Note tone="info">It does nothing to users above your own role.</Note>
    </SecretForm>
  );
}

const overlaps = [
  { value: "0", label: "No time at all" },
  { value: "1", label: "1 hour" },
  { value: "24", label: "1 day" },
  { value: "72", label: "3 days" },
  { value: "168", label: "7 days" },
];

function RotateForm({ token, onDone }: { token: Token; onDone: () => void }) {
  const [hours, setHours] = useState("24");
  const [days, setDays] = useState("365");
  const rotate = useAct(RotateAct);
  const error = (field: string) => messageFor(rotate.problem?.fields ?? [], field);
  const send = async () => (await rotate.run({ input: { scimTokenId: token.id, overlapHours: Number(hours), expiresAt: expiry(days) } }))?.rotateScimToken.secret;
  return (
    <SecretForm action="Rotate token" noun="token" send={send} running={rotate.running} problem={rotate.problem} onDone={onDone}>
      <p className="soft">A new token takes the place of this one, which stays good for a while, so that the identity provider misses nothing.</p>
      <div className="fields">
        <NativeSelect label="The old one stays good for" value={hours} error={error("overlapHours")} onChange={(event) => setHours(event.currentTarget.value)} data={overlaps} />
        <Lifetime days={days} setDays={setDays} choices={lifetimes} error={error("expiresAt")} />
      </div>
    </SecretForm>
  );
}
