import { Button, MultiSelect, NativeSelect, NumberInput, Switch, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { graphql } from "../../gql";
import type { ActionType, BaselineOutcome, ChangeSettingsInput, Control, SettingsPageQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Card } from "../../parts/page";
import { Section } from "../../parts/section";
import { Note, ProblemNote, Ready } from "../../parts/states";
import { spell } from "../../parts/tags";
import { can, useViewer } from "../../shell/viewer";
import { type WindowsDraft, windowsDraft, WindowsFields, windowsInput } from "../approval-rules/windows";
import { Mails } from "./mails";
import { ApproverPicker, type Side, sideOf } from "../people/approver-picker";

const SettingsLook = graphql(`
  query SettingsPage {
    settings {
      tenantName publicUrl minimumJustification requireDenialComment allowSelfApproval refuseUnlinkedRequesters
      bindMfaToRequester requireSecondFactorToDecide
      windows { pendingMinutes escalatedMinutes grantMinutes grantUses }
      defaultApprovers { users { id name email } teams { id name } }
      baselines { actionType outcome controls }
    }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeSettings($input: ChangeSettingsInput!) {
    changeSettings(input: $input) {
      settings {
        minimumJustification requireDenialComment allowSelfApproval refuseUnlinkedRequesters
        bindMfaToRequester requireSecondFactorToDecide
      }
      position
    }
  }
`);

type View = SettingsPageQuery["settings"];

export interface SettingsDraft {
  windows: WindowsDraft;
  minimumJustification: number;
  requireDenialComment: boolean;
  allowSelfApproval: boolean;
  refuseUnlinkedRequesters: boolean;
  bindMfaToRequester: boolean;
  requireSecondFactorToDecide: boolean;
  defaultApprovers: Side;
  baselines: { actionType: ActionType; outcome: BaselineOutcome; controls: Control[] }[];
}

export function draftOf(view: View): SettingsDraft {
  return {
    windows: windowsDraft(view.windows),
    minimumJustification: view.minimumJustification,
    requireDenialComment: view.requireDenialComment,
    allowSelfApproval: view.allowSelfApproval,
    refuseUnlinkedRequesters: view.refuseUnlinkedRequesters,
    bindMfaToRequester: view.bindMfaToRequester,
    requireSecondFactorToDecide: view.requireSecondFactorToDecide,
    defaultApprovers: sideOf(view.defaultApprovers),
    baselines: view.baselines.map(({ actionType, outcome, controls }) => ({ actionType, outcome, controls })),
  };
}

type Toggle = { [Field in keyof SettingsDraft]: SettingsDraft[Field] extends boolean ? Field : never }[keyof SettingsDraft];

/** Only what differs is sent, so that two administrators don't undo each other's changes. */
export function changesOf(before: SettingsDraft, after: SettingsDraft): ChangeSettingsInput {
  const changes: Record<string, unknown> = {};
  for (const field of Object.keys(after) as (keyof SettingsDraft)[]) {
    if (JSON.stringify(before[field]) === JSON.stringify(after[field])) continue;
    changes[field] = field === "windows" ? windowsInput(after.windows) : after[field];
  }
  return changes;
}

export function SettingsPage() {
  const look = useLook(SettingsLook, {});
  return (
    <Section of="settings" title="Settings" about="What holds for the whole organisation. Every change is an event in the audit trail.">
      <Ready look={look} lines={9}>
        {(data) => <Fields key={JSON.stringify(data.settings)} view={data.settings} />}
      </Ready>
      <Mails />
    </Section>
  );
}

function Fields({ view }: { view: View }) {
  const changes = can(useViewer(), "administer");
  const [before] = useState(() => draftOf(view));
  const [draft, setDraft] = useState(before);
  const act = useAct(ChangeAct, "The settings are saved");
  const error = (field: string) => messageFor(act.problem?.fields ?? [], field);
  const set = <Field extends keyof SettingsDraft>(field: Field, value: SettingsDraft[Field]) => setDraft((old) => ({ ...old, [field]: value }));
  const input = changesOf(before, draft);
  const dirty = Object.keys(input).length > 0;
  const toggle = (field: Toggle, label: string, description: string) => (
    <Switch label={label} description={description} disabled={!changes} checked={draft[field]} error={error(field)} onChange={(event) => set(field, event.currentTarget.checked)} />
  );
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void act.run({ input });
      }}
    >
      {!changes && <Note tone="info">You may read the settings; owners and admins change them.</Note>}
      <Part title="Organisation">
        <div className="fields">
          <TextInput label="Name" description="Given when the organisation was made; shown to everybody who signs in" readOnly value={view.tenantName} />
          <TextInput label="Address in links" description="Set by the operator" readOnly value={view.publicUrl} />
        </div>
      </Part>
      <Part title="Requests and grants">
        <WindowsFields value={draft.windows} disabled={!changes} onChange={(value) => set("windows", value)} error={(field) => error(`windows.${field}`)} />
        <div className="fields">
          <NumberInput label="Shortest justification" description="Characters, 1 to 4,096" min={1} max={4096} allowDecimal={false} disabled={!changes} value={draft.minimumJustification} error={error("minimumJustification")} onChange={(value) => set("minimumJustification", Number(value))} />
          <ApproverPicker label="Default approvers" description="Asked where no approval rule fits" known={view.defaultApprovers} disabled={!changes} value={draft.defaultApprovers} error={error("defaultApprovers")} onChange={(value) => set("defaultApprovers", value)} />
        </div>
        {toggle("requireDenialComment", "A denial needs a comment", "The requester learns why")}
        {toggle("requireSecondFactorToDecide", "Deciding needs a second factor given anew", "A one-time code or a passkey of the last five minutes, here and behind the links in mails. Approvers who have neither can't decide")}
        {toggle("allowSelfApproval", "People may decide their own requests", "Such decisions are marked in the audit trail")}
        {toggle("refuseUnlinkedRequesters", "Refuse requests of unlinked accounts", "Otherwise they are only flagged")}
        {toggle("bindMfaToRequester", "One-time codes only from the requester", "Otherwise any user of the organisation may give theirs; a mismatch is flagged")}
      </Part>
      <Part title="Where no policy matches">
        <p className="soft">The baseline of each kind of action. Protected paths of the operating system are exempt from it.</p>
        {draft.baselines.map((baseline, index) => {
          const change = (part: Partial<SettingsDraft["baselines"][number]>) => set("baselines", draft.baselines.map((each, at) => (at === index ? { ...each, ...part } : each)));
          return (
            <div className="fields" key={baseline.actionType}>
              <NativeSelect
                label={spell(baseline.actionType)}
                disabled={!changes}
                value={baseline.outcome}
                error={error(`baselines[${index}]`)}
                onChange={(event) => {
                  const outcome = event.currentTarget.value as BaselineOutcome;
                  change({ outcome, controls: outcome === "REQUIRED" ? (baseline.controls.length > 0 ? baseline.controls : ["JUSTIFICATION"]) : [] });
                }}
                data={[
                  { value: "PASS_THROUGH", label: "Leave it to the operating system" },
                  { value: "DENY", label: "Deny" },
                  { value: "REQUIRED", label: "Ask first" },
                ]}
              />
              {baseline.outcome === "REQUIRED" && (
                <MultiSelect label="Ask for" disabled={!changes} value={baseline.controls} onChange={(value) => change({ controls: value as Control[] })} data={(["APPROVAL", "MFA", "JUSTIFICATION"] as const).map((value) => ({ value, label: spell(value) }))} />
              )}
            </div>
          );
        })}
      </Part>
      <ProblemNote problem={act.problem} />
      {changes && dirty && (
        <div className="savebar">
          <span className="soft">There are unsaved changes.</span>
          <div className="row">
            <Button variant="default" onClick={() => setDraft(before)}>
              Undo
            </Button>
            <Button type="submit" loading={act.running}>
              Save settings
            </Button>
          </div>
        </div>
      )}
    </form>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Card title={title}>
      <div className="stack">{children}</div>
    </Card>
  );
}
