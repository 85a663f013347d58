import { Button, Checkbox, MultiSelect, NativeSelect, NumberInput, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useId } from "react";
import { type FieldProblem, messageFor } from "../../graphql/problem";
import { spell } from "../../parts/tags";
import { days, kinds, lists, type PolicyDocument, readDocument, withField } from "./document";

const help: Record<"users" | "machines" | "applications" | "commands" | "files" | "keepAdmins", { label: string; description: string; placeholder: string }> = {
  users: { label: "Users", description: "* for all, user:PATTERN, group:PATTERN or collection:NAME", placeholder: "user:CORP\\alice" },
  machines: { label: "Machines", description: "* for all, machine:PATTERN, os:windows|macos|linux or collection:NAME", placeholder: "os:windows" },
  applications: { label: "Applications", description: "* for all, path:PATTERN, sha256:HEX, publisher:PATTERN or collection:NAME", placeholder: "path:{downloads}\\*.exe" },
  commands: { label: "Commands", description: "Patterns of the whole command line; * stands for anything", placeholder: "systemctl restart *" },
  files: { label: "Files", description: "Patterns of paths, such as /etc/ssh/*", placeholder: "/etc/ssh/*" },
  keepAdmins: { label: "Accounts that stay administrators", description: "user:PATTERN or group:PATTERN", placeholder: "user:*\\Administrator" },
};

/** The form half of the editor. It only writes the fields that are touched; all others stay as they were. */
export function PolicyForm({
  raw,
  onChange,
  problems,
  lockType,
}: {
  raw: Record<string, unknown>;
  onChange: (raw: Record<string, unknown>) => void;
  problems: FieldProblem[];
  lockType: boolean;
}) {
  const document = readDocument(raw);
  const set = (field: keyof PolicyDocument, value: unknown) => onChange(withField(raw, field, value));
  const error = (field: string) => messageFor(problems, field);
  const rights = document.type === "least_privilege";
  const list = (field: keyof typeof help) => (
    <TagsInput
      key={field}
      label={help[field].label}
      description={help[field].description}
      placeholder={document[field].length === 0 ? help[field].placeholder : undefined}
      value={document[field]}
      splitChars={["\n"]}
      acceptValueOnBlur
      error={error(field)}
      onChange={(value) => set(field, value)}
    />
  );
  return (
    <form className="stack stack--wide" onSubmit={(event) => event.preventDefault()}>
      <div className="stack">
        <TextInput
          label="Name"
          required
          maxLength={200}
          value={document.name}
          error={error("name")}
          onChange={(event) => set("name", event.currentTarget.value)}
        />
        <div className="fields">
          <NativeSelect
            label="Type"
            value={document.type}
            disabled={lockType}
            error={error("type")}
            onChange={(event) => set("type", event.currentTarget.value)}
            data={kinds.map((value) => ({ value, label: spell(value) }))}
          />
          <NativeSelect
            label="Status"
            value={document.status}
            error={error("status")}
            onChange={(event) => set("status", event.currentTarget.value)}
            data={(rights ? ["off", "enforce"] : ["off", "monitor", "monitor_and_notify", "enforce"]).map((value) => ({
              value,
              label: spell(value),
            }))}
          />
        </div>
      </div>
      {!rights && (
        <fieldset className="group stack">
          <legend>What it demands</legend>
          <MultiSelect
            label="Controls"
            description="Approval always asks for a justification too; allow and deny stand alone"
            value={document.controls}
            error={error("controls")}
            onChange={(value) => set("controls", value)}
            data={["approval", "mfa", "justification", "allow", "deny"].map((value) => ({ value, label: spell(value) }))}
          />
          {document.controls.includes("allow") && (
            <Switch
              label="Exception"
              description="Takes away what policies on * demand. Only owners may save it, and the audit trail marks it"
              checked={document.exception}
              error={error("exception")}
              onChange={(event) => set("exception", event.currentTarget.checked)}
            />
          )}
          {document.controls.includes("deny") && (
            <Switch
              label="May deny protected system files"
              description="Needed where a deny names, by path or hash, a file the machine cannot start without"
              checked={document.confirmProtected}
              error={error("confirmProtected")}
              onChange={(event) => set("confirmProtected", event.currentTarget.checked)}
            />
          )}
          {document.controls.includes("mfa") && (
            <Switch
              label="Ask for a new code every time"
              checked={document.mfaAlways}
              error={error("mfaAlways")}
              onChange={(event) => set("mfaAlways", event.currentTarget.checked)}
            />
          )}
          <div className="fields">
            <NumberInput label="Risk" description="0 to 100; routes requests" min={0} max={100} allowDecimal={false} value={document.riskLevel} error={error("riskLevel")} onChange={(value) => set("riskLevel", Number(value))} />
            <NumberInput label="Access lasts" description="Minutes" min={1} allowDecimal={false} value={document.accessMinutes} error={error("accessMinutes")} onChange={(value) => set("accessMinutes", Number(value))} />
          </div>
        </fieldset>
      )}
      <fieldset className="group stack">
        <legend>Whom and what it is about</legend>
        <p className="soft small">Entries of one list are alternatives; all lists have to fit.</p>
        {lists[document.type].filter((field) => field === "users").map(list)}
        {list("machines")}
        {lists[document.type].filter((field) => field !== "users").map(list)}
      </fieldset>
      {!rights && (
        <fieldset className="group stack">
          <legend>When</legend>
          <p className="soft small">In the endpoint's own time. Leave empty for always.</p>
          <Checkbox.Group label="Days" value={document.days} error={error("days")} onChange={(value) => set("days", days.filter((day) => value.includes(day)))}>
            <div className="row row--loose checks">
              {days.map((day) => (
                <Checkbox key={day} value={day} label={day.charAt(0).toUpperCase() + day.slice(1)} />
              ))}
            </div>
          </Checkbox.Group>
          <Ranges label="Hours" hint="08:00" value={document.times} error={(index) => error(`times[${index}]`)} onChange={(value) => set("times", value)} />
          <Ranges label="Dates" hint="2026-01-31" value={document.dates} error={(index) => error(`dates[${index}]`)} onChange={(value) => set("dates", value)} />
        </fieldset>
      )}
      {!rights && (
        <fieldset className="group stack">
          <legend>Message to the user</legend>
          <Textarea
            label="Message"
            rows={2}
            value={document.notification?.message ?? ""}
            error={error("notification")}
            onChange={(event) => {
              const message = event.currentTarget.value;
              set("notification", message === "" ? null : { requireAcknowledgement: document.notification?.requireAcknowledgement ?? true, message });
            }}
          />
          {document.notification && (
            <Switch
              label="Has to be acknowledged"
              checked={document.notification.requireAcknowledgement}
              onChange={(event) => set("notification", { ...document.notification, requireAcknowledgement: event.currentTarget.checked })}
            />
          )}
        </fieldset>
      )}
      {(document.type === "privilege_elevation" || document.type === "file_access") && (
        <TagsInput
          label="Certificates"
          description="Thumbprints of signing certificates; empty means any"
          value={document.certificates}
          error={error("certificates")}
          acceptValueOnBlur
          onChange={(value) => set("certificates", value)}
        />
      )}
    </form>
  );
}

interface Range {
  from: string;
  to: string;
}

interface RangesProps {
  label: string;
  hint: string;
  value: Range[];
  error: (index: number) => string | undefined;
  onChange: (value: Range[]) => void;
}

function Ranges({ label, hint, value, error, onChange }: RangesProps) {
  const id = useId();
  const change = (index: number, part: Partial<Range>) => onChange(value.map((range, each) => (each === index ? { ...range, ...part } : range)));
  return (
    <div className="stack stack--tight" role="group" aria-label={label}>
      <div className="row row--between">
        <span className="label">{label}</span>
        <Button size="compact-xs" variant="default" onClick={() => onChange([...value, { from: "", to: "" }])}>
          Add {label.toLowerCase()}
        </Button>
      </div>
      {value.map((range, index) => {
        const wrong = error(index);
        const end = (part: keyof Range) => (
          <TextInput
            className="range__end"
            aria-label={`${label} ${index + 1}, ${part}`}
            aria-describedby={wrong ? `${id}-${index}` : undefined}
            placeholder={hint}
            error={wrong !== undefined}
            value={range[part]}
            onChange={(event) => change(index, { [part]: event.currentTarget.value })}
          />
        );
        return (
          <div className="stack stack--tight" key={index}>
            <div className="row">
              {end("from")}
              <span className="soft">to</span>
              {end("to")}
              <Button size="compact-sm" variant="default" aria-label={`Remove ${label.toLowerCase()} ${index + 1}`} onClick={() => onChange(value.filter((_, each) => each !== index))}>
                Remove
              </Button>
            </div>
            {wrong && (
              <span className="error-text" id={`${id}-${index}`}>
                {wrong}
              </span>
            )}
          </div>
        );
      })}
    </div>
  );
}
