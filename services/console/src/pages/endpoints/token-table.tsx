import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useAct } from "../../graphql/hooks";
import { ConfirmAct } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Table } from "../../parts/table";
import { ActorName, Tag } from "../../parts/tags";
import { count, useNow, When } from "../../parts/time";
import type { Group } from "./groups";
import { ReplaceForm } from "./tokens";

const RevokeAct = graphql(`
  mutation RevokeRegistrationToken($input: RevokeRegistrationTokenInput!) {
    revokeRegistrationToken(input: $input) { registrationToken { id revokedAt } deploymentGroup { id } position }
  }
`);

type Token = Group["registrationTokens"][number];

/** What a token is good for at this moment. */
export function tokenState(token: Pick<Token, "revokedAt" | "expiresAt" | "maximumRegistrations" | "registrations">, now: number): "Revoked" | "Expired" | "Used up" | "Valid" {
  if (token.revokedAt) return "Revoked";
  if (token.expiresAt && Date.parse(token.expiresAt) <= now) return "Expired";
  if (token.maximumRegistrations != null && token.registrations >= token.maximumRegistrations) return "Used up";
  return "Valid";
}

/** The registration tokens of a group, dead ones too, each with what can still be done about it. */
export function TokenTable({ group, changes }: { group: Group; changes: boolean }) {
  const now = useNow(60_000);
  const [revoking, setRevoking] = useState<Token>();
  const [replacing, setReplacing] = useState<Token>();
  const revoke = useAct(RevokeAct, "The token is revoked");
  return (
    <div className="inset">
      <Table
        caption={`Registration tokens of ${group.name}`}
        rows={group.registrationTokens}
        rowKey={(row) => row.id}
        columns={[
          { label: "Token", bare: true, cell: (row) => <span className="table__key">{row.label}</span> },
          {
            label: "State",
            cell: (row) => {
              const state = tokenState(row, now);
              return <Tag tone={state === "Valid" ? "good" : state === "Revoked" ? "bad" : "neutral"}>{state}</Tag>;
            },
          },
          { label: "Registrations", cell: (row) => (row.maximumRegistrations == null ? `${count(row.registrations)}, no limit` : `${count(row.registrations)} of ${count(row.maximumRegistrations)}`) },
          { label: "Expires", cell: (row) => (row.expiresAt ? <When at={row.expiresAt} /> : <span className="soft">Never</span>) },
          { label: "Issued by", cell: (row) => <ActorName actor={row.createdBy} /> },
          {
            label: "",
            cell: (row) =>
              changes &&
              !row.revokedAt && (
                <div className="row row--end">
                  <Button size="compact-sm" variant="default" aria-label={`Replace ${row.label}`} onClick={() => setReplacing(row)}>
                    Replace
                  </Button>
                  <Button size="compact-sm" variant="default" aria-label={`Revoke ${row.label}`} onClick={() => setRevoking(row)}>
                    Revoke
                  </Button>
                </div>
              ),
          },
        ]}
      />
      <Dialog open={replacing !== undefined} onClose={() => setReplacing(undefined)} title={`Replace the token ${replacing?.label ?? ""}`}>
        {replacing && <ReplaceForm token={replacing} onDone={() => setReplacing(undefined)} />}
      </Dialog>
      {revoking && (
        <ConfirmAct act={revoke} variables={{ input: { registrationTokenId: revoking.id } }} title={`Revoke “${revoking.label}”?`} action="Revoke" onClose={() => setRevoking(undefined)}>
          No further machine can register with it. Those that did stay.
        </ConfirmAct>
      )}
    </div>
  );
}
