import { Button, Checkbox, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { ExplainDecisionInput } from "../../gql/graphql";
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

const GroupsLook = graphql(`
  query GroupsForTrying {
    deploymentGroups { id name }
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
  /** `name=value` a line: what `{name}` in a pattern stands for on that endpoint. */
  variables: string;
  /** A moment on the endpoint such as `2026-01-31T09:00`; empty is now. */
  moment: string;
  online: boolean;
}

/** Reads `name=value` lines; braces around a name are the pattern's, not the name's. */
export function variablesOf(text: string): Record<string, string> {
  const pairs = text.split("\n").flatMap((line): [string, string][] => {
    const at = line.indexOf("=");
    const name = line.slice(0, at).trim().replace(/^\{(.*)\}$/, "$1");
    return at > 0 && name ? [[name, line.slice(at + 1).trim()]] : [];
  });
  return Object.fromEntries(pairs);
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
    variables: variablesOf(attempt.variables),
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

/** Asks the engine about an attempt that nobody made, under all policies as they are now, or with a draft among them. */
export function TryAction({ policy, draft }: { policy: PolicyView; draft?: Record<string, unknown> }) {
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
    variables: "",
    moment: "",
    online: true,
  });
  const groups = useLook(GroupsLook, {});
  const [group, setGroup] = useState("");
  const [asked, setAsked] = useState<ExplainDecisionInput>();
  if (policy.type === "LEAST_PRIVILEGE") {
    return (
      <Card>
        <Empty title="Nothing to try">A least-privilege policy says who stays administrator; it never answers an action.</Empty>
      </Card>
    );
  }
  const text = (field: "user" | "groups" | "machine" | "path" | "publisher" | "commandLine" | "file", label: string, options: { required?: boolean; placeholder?: string } = {}) => (
    <TextInput label={label} {...options} value={attempt[field]} onChange={(event) => setAttempt({ ...attempt, [field]: event.currentTarget.value })} />
  );
  return (
    <div className="columns columns--half">
      <Card title={draft ? "Try an action on this draft" : `An attempt: ${spell(type)}`}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            const at = localRfc3339(attempt.moment ? new Date(attempt.moment) : new Date());
            setAsked({
              action: actionOf(type, attempt, at),
              ...(group ? { deploymentGroupId: group } : {}),
              ...(draft ? { draft, draftPolicyId: policy.id } : {}),
            });
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
          <div className="fields">
            {groups.data && groups.data.deploymentGroups.length > 1 && (
              <NativeSelect
                label="Deployment group"
                description="Each has a snapshot of its own while a revision is staged"
                value={group}
                onChange={(event) => setGroup(event.currentTarget.value)}
                data={[{ value: "", label: "The widest" }, ...groups.data.deploymentGroups.map(({ id, name }) => ({ value: id, label: name }))]}
              />
            )}
            <TextInput
              label="When"
              description="On the endpoint; empty is now"
              type="datetime-local"
              value={attempt.moment}
              onChange={(event) => setAttempt({ ...attempt, moment: event.currentTarget.value })}
            />
          </div>
          <Textarea
            label="Variables"
            description="name=value, a line each: what {name} in a pattern stands for"
            placeholder="downloads=C:\Users\alice\Downloads"
            autosize
            minRows={1}
            value={attempt.variables}
            onChange={(event) => setAttempt({ ...attempt, variables: event.currentTarget.value })}
          />
          <Checkbox label="The endpoint reaches the server" checked={attempt.online} onChange={(event) => setAttempt({ ...attempt, online: event.currentTarget.checked })} />
          <Button type="submit">Ask the engine</Button>
        </form>
      </Card>
      <Card title="What the engine says">
        {asked ? <Answer input={asked} /> : <p className="soft">The same engine runs on the endpoints; it answers here with its reasons.</p>}
      </Card>
    </div>
  );
}

function Answer({ input }: { input: ExplainDecisionInput }) {
  const look = useLook(TryLook, { input });
  return <Ready look={look}>{(data) => <Explanation explanation={data.explainDecision} />}</Ready>;
}
