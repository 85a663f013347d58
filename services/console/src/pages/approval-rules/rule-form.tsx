import { Button, MultiSelect, NumberInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { ActionType } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { useFound } from "../../graphql/pages";
import { messageFor } from "../../graphql/problem";
import { Picker } from "../../parts/picker";
import { ProblemNote, Ready } from "../../parts/states";
import { spell } from "../../parts/tags";
import { ApproverPicker, sideOf } from "../people/approver-picker";
import type { Rule } from "./approval-rules";
import { type WindowsDraft, windowsDraft, WindowsFields, windowsInput } from "./windows";

const WindowsLook = graphql(`
  query RuleWindows {
    settings { windows { pendingMinutes escalatedMinutes grantMinutes grantUses } }
  }
`);
const CollectionsLook = graphql(`
  query CollectionsToChoose($search: String, $after: String) {
    collections(search: $search, first: 50, after: $after) {
      nodes { id name }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateApprovalRule($input: CreateApprovalRuleInput!) {
    createApprovalRule(input: $input) { approvalRule { id } position }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeApprovalRule($input: ChangeApprovalRuleInput!) {
    changeApprovalRule(input: $input) { approvalRule { id name } position }
  }
`);

export function RuleForm({ of, onDone }: { of: Rule | "new"; onDone: () => void }) {
  const look = useLook(WindowsLook, {});
  return <Ready look={look}>{(data) => <RuleFields old={of === "new" ? undefined : of} standard={windowsDraft(data.settings.windows)} onDone={onDone} />}</Ready>;
}

const choiceOf = ({ id, name }: { id: string; name: string }) => ({ id, label: name });

function RuleFields({ old, standard, onDone }: { old: Rule | undefined; standard: WindowsDraft; onDone: () => void }) {
  const collections = useFound(CollectionsLook, (data) => data.collections, { names: ["Collection"] });
  const [name, setName] = useState(old?.name ?? "");
  const [types, setTypes] = useState<ActionType[]>(old?.actionTypes ?? []);
  const [inside, setInside] = useState(old?.collections.map((collection) => collection.id) ?? []);
  const [minimumRisk, setMinimum] = useState(old?.minimumRisk ?? 0);
  const [maximumRisk, setMaximum] = useState(old?.maximumRisk ?? 100);
  const [quorum, setQuorum] = useState(old?.quorum ?? 1);
  const [primary, setPrimary] = useState(sideOf(old?.primary));
  const [secondary, setSecondary] = useState(sideOf(old?.secondary));
  const [windows, setWindows] = useState(old ? windowsDraft(old.windows) : standard);
  const create = useAct(CreateAct, "The rule is saved");
  const change = useAct(ChangeAct, "The rule is saved");
  const problem = create.problem ?? change.problem;
  const error = (field: string) => messageFor(problem?.fields ?? [], field);
  const save = async () => {
    const common = {
      name: name.trim(),
      actionTypes: types,
      collectionIds: inside,
      minimumRisk,
      maximumRisk,
      quorum,
      primary,
      secondary,
      windows: windowsInput(windows),
    };
    const done = old ? await change.run({ input: { approvalRuleId: old.id, ...common } }) : await create.run({ input: common });
    if (done) onDone();
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <TextInput label="Name" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
      <fieldset className="group stack">
        <legend>Which requests</legend>
        <div className="fields">
          <MultiSelect
            label="Types"
            placeholder={types.length === 0 ? "Any" : undefined}
            value={types}
            onChange={(value) => setTypes(value as ActionType[])}
            data={(["PRIVILEGE_ELEVATION", "FILE_ACCESS", "COMMAND_LINE"] as const).map((value) => ({ value, label: spell(value) }))}
          />
          <Picker
            label="Collections"
            placeholder="Any"
            value={inside}
            error={error("collectionIds")}
            onChange={setInside}
            known={(old?.collections ?? []).map(choiceOf)}
            groups={[{ choices: collections.rows.map(choiceOf) }]}
            search={collections.search}
            onSearch={collections.setSearch}
            more={collections.more}
            busy={collections.busy}
            problem={collections.problem?.message}
          />
          <NumberInput label="Risk from" min={0} max={100} value={minimumRisk} error={error("minimumRisk")} onChange={(value) => setMinimum(Number(value))} />
          <NumberInput label="Risk to" min={0} max={100} value={maximumRisk} error={error("maximumRisk")} onChange={(value) => setMaximum(Number(value))} />
        </div>
      </fieldset>
      <fieldset className="group stack">
        <legend>Who is asked</legend>
        <div className="fields">
          <ApproverPicker label="First asked" known={old?.primary} value={primary} error={error("primary")} onChange={setPrimary} />
          <ApproverPicker label="Asked after escalation" known={old?.secondary} value={secondary} error={error("secondary")} onChange={setSecondary} />
          <NumberInput label="Approvals needed" description="Different people" min={1} max={20} value={quorum} error={error("quorum")} onChange={(value) => setQuorum(Number(value))} />
        </div>
      </fieldset>
      <fieldset className="group stack">
        <legend>How long</legend>
        <WindowsFields value={windows} onChange={setWindows} error={(field) => error(`windows.${field}`)} />
      </fieldset>
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={create.running || change.running}>
          Save rule
        </Button>
      </div>
    </form>
  );
}
