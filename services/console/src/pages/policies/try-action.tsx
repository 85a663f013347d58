import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import { useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { Empty, Ready } from "../../parts/states";
import { spell } from "../../parts/tags";
import { readDocument } from "./document";
import { Explanation } from "./explanation";
import type { PolicyView } from "./policy";

const TryLook = graphql(`
  query TryAction($input: ExplainDecisionInput!) {
    explainDecision(input: $input) { ...ExplanationParts }
  }
`);

interface Attempt {
  user: string;
  groups: string;
  machine: string;
  os: string;
  path: string;
  publisher: string;
  commandLine: string;
  file: string;
  online: boolean;
}

/** The action in the case format of policy tests (docs/domain.md § 2). */
export function actionOf(type: string, attempt: Attempt, at: string): Record<string, unknown> {
  return {
    type,
    user: { name: attempt.user, groups: attempt.groups.split(",").map((group) => group.trim()).filter(Boolean) },
    machine: { name: attempt.machine, os: attempt.os },
    application: { path: attempt.path, ...(attempt.publisher ? { publisher: attempt.publisher } : {}) },
    ...(attempt.commandLine ? { commandLine: attempt.commandLine } : {}),
    ...(type === "file_access" && attempt.file ? { file: attempt.file } : {}),
    at,
    variables: {},
    online: attempt.online,
  };
}

/** This moment with the browser's own offset, as an endpoint beside it would report it. */
export function localRfc3339(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const two = (value: number) => String(value).padStart(2, "0");
  const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 19);
  const size = Math.abs(minutes);
  return `${local}${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Asks the engine about an attempt that nobody made, under all policies as they are now. */
export function TryAction({ policy }: { policy: PolicyView }) {
  const type = policy.type === "LEAST_PRIVILEGE" ? "privilege_elevation" : readDocument(policy.document).type;
  const [attempt, setAttempt] = useState<Attempt>({
    user: "",
    groups: "",
    machine: "",
    os: "windows",
    path: "",
    publisher: "",
    commandLine: "",
    file: "",
    online: true,
  });
  const [asked, setAsked] = useState<Record<string, unknown>>();
  if (policy.type === "LEAST_PRIVILEGE") {
    return (
      <Card>
        <Empty title="Nothing to try">A least-privilege policy says who stays administrator; it never answers an action.</Empty>
      </Card>
    );
  }
  const text = (field: Exclude<keyof Attempt, "online">, label: string, options: { required?: boolean; placeholder?: string } = {}) => (
    <TextInput label={label} {...options} value={attempt[field]} onChange={(event) => setAttempt({ ...attempt, [field]: event.currentTarget.value })} />
  );
  return (
    <div className="columns columns--half">
      <Card title={`An attempt: ${spell(type)}`}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            setAsked(actionOf(type, attempt, localRfc3339(new Date())));
          }}
        >
          <div className="fields">
            {text("user", "User", { required: true, placeholder: "CORP\\alice" })}
            {text("groups", "Groups", { placeholder: "Separated by commas" })}
            {text("machine", "Machine", { required: true, placeholder: "LAPTOP-17" })}
            <NativeSelect label="System" value={attempt.os} onChange={(event) => setAttempt({ ...attempt, os: event.currentTarget.value })} data={["windows", "macos", "linux"].map((value) => ({ value, label: spell(value) }))} />
          </div>
          {type === "file_access" && text("file", "File", { required: true })}
          {text("path", type === "file_access" ? "Program that opens it" : "Program", { required: true, placeholder: "C:\\Users\\alice\\Downloads\\setup.exe" })}
          {text("commandLine", "Command line", { required: type === "command_line" })}
          {text("publisher", "Publisher", { placeholder: "CN=Contoso" })}
          <Checkbox label="The endpoint reaches the server" checked={attempt.online} onChange={(event) => setAttempt({ ...attempt, online: event.currentTarget.checked })} />
          <Button type="submit">Ask the engine</Button>
        </form>
      </Card>
      <Card title="What the engine says">
        {asked ? <Answer action={asked} /> : <p className="soft">The same engine runs on the endpoints; it answers here with its reasons.</p>}
      </Card>
    </div>
  );
}

function Answer({ action }: { action: Record<string, unknown> }) {
  const look = useLook(TryLook, { input: { action } });
  return <Ready look={look}>{(data) => <Explanation explanation={data.explainDecision} />}</Ready>;
}
