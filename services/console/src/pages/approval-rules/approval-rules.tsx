import { Button } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { ApprovalRulesQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card, Facts, Page } from "../../parts/page";
import { Empty, Note, ProblemNote, Ready } from "../../parts/states";
import { spell } from "../../parts/tags";
import { duration } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { RuleForm } from "./rule-form";

const RulesLook = graphql(`
  query ApprovalRules {
    approvalRules {
      id name rank actionTypes minimumRisk maximumRisk quorum
      collections { id name }
      primary { users { id name email } teams { id name } }
      secondary { users { id name email } teams { id name } }
      windows { pendingMinutes escalatedMinutes grantMinutes grantUses }
      warnings { code message }
    }
  }
`);
const ReorderAct = graphql(`
  mutation ReorderApprovalRules($input: ReorderApprovalRulesInput!) {
    reorderApprovalRules(input: $input) { approvalRules { id rank } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteApprovalRule($input: DeleteApprovalRuleInput!) {
    deleteApprovalRule(input: $input) { approvalRule { id } position }
  }
`);

export type Rule = ApprovalRulesQuery["approvalRules"][number];

/** `Anna Berg, team Security`; empty sides are named by the caller. */
export function approverNames(side: Rule["primary"]): string {
  return [
    ...side.users.map((user) => user.name ?? user.email ?? user.id),
    ...side.teams.map((team) => `team ${team.name}`),
  ].join(", ");
}

/** The list with one element moved by one place; the same list where there is no such place. */
export function moved<Item>(list: readonly Item[], index: number, by: -1 | 1): Item[] {
  const next = [...list];
  const [item] = next.splice(index, 1);
  if (item === undefined || index + by < 0 || index + by > next.length) return [...list];
  next.splice(index + by, 0, item);
  return next;
}

export function ApprovalRules() {
  const changes = can(useViewer(), "administer");
  const look = useLook(RulesLook, {}, { names: ["ApprovalRule"] });
  const [editing, setEditing] = useState<Rule | "new">();
  const [deleting, setDeleting] = useState<Rule>();
  const reorder = useAct(ReorderAct, "The order is changed");
  const remove = useAct(DeleteAct, "The rule is deleted");
  const create = changes && <Button onClick={() => setEditing("new")}>New rule</Button>;
  const move = (rules: readonly Rule[], index: number, by: -1 | 1) =>
    void reorder.run({ input: { approvalRuleIds: moved(rules.map((rule) => rule.id), index, by) } });
  return (
    <Page
      title="Approval rules"
      about="Who is asked about which request. The first rule that fits counts; where none does, the default approvers of the settings are asked."
      actions={create}
    >
      <ProblemNote problem={reorder.problem} />
      <Ready look={look}>
        {({ approvalRules }) =>
          approvalRules.length === 0 ? (
            <Card flush>
              <Empty title="There are no rules yet" action={create}>
                All requests go to the default approvers, or to administrators.
              </Empty>
            </Card>
          ) : (
            <ol className="plain-list stack">
              {approvalRules.map((rule, index) => (
                <li key={rule.id}>
                  <Card
                    title={`${index + 1}. ${rule.name}`}
                    actions={
                      <>
                        {changes && (
                          <>
                            <Button size="compact-sm" variant="default" disabled={index === 0 || reorder.running} aria-label={`Move ${rule.name} up`} onClick={() => move(approvalRules, index, -1)}>
                              ↑
                            </Button>
                            <Button size="compact-sm" variant="default" disabled={index === approvalRules.length - 1 || reorder.running} aria-label={`Move ${rule.name} down`} onClick={() => move(approvalRules, index, 1)}>
                              ↓
                            </Button>
                            <Button size="compact-sm" variant="default" aria-label={`Edit ${rule.name}`} onClick={() => setEditing(rule)}>
                              Edit
                            </Button>
                            <Button size="compact-sm" variant="default" aria-label={`Delete ${rule.name}`} onClick={() => setDeleting(rule)}>
                              Delete
                            </Button>
                          </>
                        )}
                      </>
                    }
                  >
                    {rule.warnings.map((warning) => (
                      <Note key={warning.code} tone="warn">
                        {warning.message}
                      </Note>
                    ))}
                    <div className="columns columns--half">
                      <Facts
                        items={[
                          ["Types", rule.actionTypes.length === 0 ? "Any" : rule.actionTypes.map(spell).join(", ")],
                          ["Collections", rule.collections.length === 0 ? "Any" : rule.collections.map((collection) => collection.name).join(", ")],
                          ["Risk", `${rule.minimumRisk} to ${rule.maximumRisk}`],
                          ["Approvals needed", rule.quorum],
                        ]}
                      />
                      <Facts
                        items={[
                          ["First asked", approverNames(rule.primary) || "Administrators"],
                          ["Then asked", approverNames(rule.secondary) || "Nobody: the request expires"],
                          ["Waits", `${duration(rule.windows.pendingMinutes)}, then ${duration(rule.windows.escalatedMinutes)}`],
                          ["Grant", `${duration(rule.windows.grantMinutes)}, ${rule.windows.grantUses == null ? "unlimited uses" : rule.windows.grantUses === 1 ? "one use" : `${rule.windows.grantUses} uses`}`],
                        ]}
                      />
                    </div>
                  </Card>
                </li>
              ))}
            </ol>
          )
        }
      </Ready>
      <Dialog open={editing !== undefined} onClose={() => setEditing(undefined)} title={editing === "new" ? "New rule" : "Edit rule"} wide>
        {editing && <RuleForm of={editing} onDone={() => setEditing(undefined)} />}
      </Dialog>
      {deleting && (
        <Confirm
          open
          onClose={() => setDeleting(undefined)}
          title={`Delete “${deleting.name}”?`}
          action="Delete"
          dangerous
          running={remove.running}
          problem={remove.problem}
          onConfirm={() => void remove.run({ input: { approvalRuleId: deleting.id } }).then((done) => done && setDeleting(undefined))}
        >
          Open requests keep the terms they were filed under.
        </Confirm>
      )}
    </Page>
  );
}
