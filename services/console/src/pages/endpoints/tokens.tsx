import { Button, NativeSelect, NumberInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { OperatingSystem } from "../../gql/graphql";
import { useAct } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { expiry, Lifetime, Once, SecretForm } from "../../parts/secret";
import { ProblemNote } from "../../parts/states";
import { spell } from "../../parts/tags";

const IssueAct = graphql(`
  mutation IssueRegistrationToken($input: IssueRegistrationTokenInput!) {
    issueRegistrationToken(input: $input) { secret registrationToken { id } deploymentGroup { id } position }
  }
`);
const PackageAct = graphql(`
  mutation CreateDeploymentPackage($input: CreateDeploymentPackageInput!) {
    createDeploymentPackage(input: $input) { fileName content registrationToken { id } deploymentGroup { id } position }
  }
`);

function Limits({ days, setDays, most, setMost, error }: { days: string; setDays: (value: string) => void; most: number | ""; setMost: (value: number | "") => void; error: (field: string) => string | undefined }) {
  return (
    <div className="fields">
      <Lifetime days={days} setDays={setDays} choices={[1, 7, 30, 90]} error={error("expiresAt")} />
      <NumberInput label="Machines at most" placeholder="Unlimited" min={1} allowDecimal={false} value={most} error={error("maximumRegistrations")} onChange={(value) => setMost(typeof value === "number" ? value : "")} />
    </div>
  );
}

const RotateAct = graphql(`
  mutation RotateRegistrationToken($input: RotateRegistrationTokenInput!) {
    rotateRegistrationToken(input: $input) { secret registrationToken { id } deploymentGroup { id } position }
  }
`);

export function TokenForm({ deploymentGroupId, onDone }: { deploymentGroupId: string; onDone: () => void }) {
  const [days, setDays] = useState("7");
  const [most, setMost] = useState<number | "">("");
  const issue = useAct(IssueAct);
  const error = (field: string) => messageFor(issue.problem?.fields ?? [], field);
  const send = async () => {
    const data = await issue.run({ input: { deploymentGroupId, label: "", expiresAt: expiry(days), maximumRegistrations: most === "" ? null : most } });
    return data?.issueRegistrationToken.secret;
  };
  return (
    <SecretForm action="Issue token" noun="token" send={send} running={issue.running} problem={issue.problem} onDone={onDone}>
      <Limits days={days} setDays={setDays} most={most} setMost={setMost} error={error} />
    </SecretForm>
  );
}

/** Puts a new token in the place of another. */
export function ReplaceForm({ token, onDone }: { token: { id: string; label: string }; onDone: () => void }) {
  const rotate = useAct(RotateAct, "The old token is revoked");
  const send = async () => (await rotate.run({ input: { registrationTokenId: token.id } }))?.rotateRegistrationToken.secret;
  return (
    <SecretForm action="Replace token" noun="token" send={send} running={rotate.running} problem={rotate.problem} onDone={onDone}>
      <p className="soft">
        The old token ends in {token.label} and is revoked at once; machines that registered with it stay. The new one expires when the old
        one would have, and is good for as many machines as that had left.
      </p>
    </SecretForm>
  );
}

export function PackageForm({ deploymentGroupId, onDone }: { deploymentGroupId: string; onDone: () => void }) {
  const [os, setOs] = useState<OperatingSystem>("WINDOWS");
  const [days, setDays] = useState("7");
  const [most, setMost] = useState<number | "">("");
  const [made, setMade] = useState<{ fileName: string; content: string }>();
  const create = useAct(PackageAct);
  const error = (field: string) => messageFor(create.problem?.fields ?? [], field);
  if (made) {
    return (
      <Once
        onDone={onDone}
        action={
          <Button variant="default" component="a" href={`data:application/json;charset=utf-8,${encodeURIComponent(made.content)}`} download={made.fileName}>
            Save the file
          </Button>
        }
      >
        <div className="stack stack--tight">
          <span className="mono">{made.fileName}</span>
          <div className="code-block">
            <pre>{made.content}</pre>
          </div>
        </div>
      </Once>
    );
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void create
          .run({ input: { deploymentGroupId, os, expiresAt: expiry(days), maximumRegistrations: most === "" ? null : most } })
          .then((data) => data && setMade({ fileName: data.createDeploymentPackage.fileName, content: data.createDeploymentPackage.content ?? "" }));
      }}
    >
      <p className="soft">One file with the installer's address, the server, the organisation's root key and a token minted for it.</p>
      <NativeSelect label="System" value={os} onChange={(event) => setOs(event.currentTarget.value as OperatingSystem)} data={(["WINDOWS", "MACOS", "LINUX"] as const).map((value) => ({ value, label: spell(value) }))} />
      <Limits days={days} setDays={setDays} most={most} setMost={setMost} error={error} />
      <ProblemNote problem={create.problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={create.running}>
          Create package
        </Button>
      </div>
    </form>
  );
}
