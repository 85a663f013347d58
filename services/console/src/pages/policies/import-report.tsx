import { Checkbox, NativeSelect } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { asSentence } from "../../graphql/problem";
import { Card, Facts } from "../../parts/page";
import { Empty, Note } from "../../parts/states";
import { Table } from "../../parts/table";
import { Controls, PolicyTag, spell } from "../../parts/tags";
import { Visible } from "../../parts/visible";
import type { Control, PolicyStatus } from "../../gql/graphql";
import { readDocument } from "./document";
import type { PolicyFile } from "./import";
import { ImportRun } from "./import-run";

type Remark = PolicyFile["notes"][number];

/** Remarks by the policy they are about, in the order of the file. */
export function byPolicy(remarks: readonly Remark[]): [string, Remark[]][] {
  const groups = new Map<string, Remark[]>();
  for (const remark of remarks) groups.set(remark.policy, [...(groups.get(remark.policy) ?? []), remark]);
  return [...groups];
}

/** The document with the status that was chosen; least privilege knows no monitoring. */
export function withStatus(document: Record<string, unknown>, status: string): Record<string, unknown> {
  if (status === "") return document;
  return { ...document, status: document.type === "least_privilege" ? "off" : status };
}

/** What a file holds, field by field, and the way to write it. */
export function ImportReport({ file, source }: { file: PolicyFile; source: string }) {
  const [status, setStatus] = useState("");
  const [partial, setPartial] = useState(false);
  const refused = byPolicy(file.refused);
  const documents = file.policies.map((document) => withStatus(document, status));
  const blocked = refused.length > 0 && !partial;
  return (
    <>
      <Card title="What would happen">
        <div className="stack">
          <Facts
            items={[
              ["Written by", file.format === "KEEPER" ? "Keeper EPM" : file.format === "NATIVE" ? "Portcullis" : "It could not be read"],
              ["Can be imported", `${file.policies.length} ${file.policies.length === 1 ? "policy" : "policies"}`],
              ["Refused", refused.length > 0 && String(refused.length)],
              ["New collections", file.collections.length > 0 && <Names key="c" names={file.collections.map((collection) => `${collection.name} (${spell(collection.kind).toLowerCase()})`)} />],
            ]}
          />
          {file.hasBaseline && (
            <Note tone="info">
              The file has a baseline, which is what happens where no policy matches. It is not taken over; <Link to="/settings">change it in the settings</Link>.
            </Note>
          )}
          {file.approvalRules.length > 0 && <Rules rules={file.approvalRules} />}
        </div>
      </Card>
      {refused.length > 0 && (
        <Card title={refused.length === 1 ? "One is refused" : `${refused.length} are refused`}>
          <Remarks groups={refused} bad />
        </Card>
      )}
      {file.policies.length > 0 ? (
        <>
          <Card title="Can be imported" flush>
            <Table
              caption="Policies that can be imported"
              rows={documents.map((document, index) => ({ ...readDocument(document), index }))}
              rowKey={(row) => row.index}
              columns={[
                { label: "Name", bare: true, wide: true, cell: (row) => <span className="strong">{row.name}</span> },
                { label: "Type", cell: (row) => spell(row.type) },
                { label: "Status", cell: (row) => <PolicyTag status={row.status.toUpperCase() as PolicyStatus} /> },
                { label: "Demands", cell: (row) => <Controls controls={row.controls.map((control) => control.toUpperCase() as Control)} /> },
              ]}
            />
          </Card>
          {file.notes.length > 0 && (
            <Card title="Read with a choice, or left out">
              <Remarks groups={byPolicy(file.notes)} />
            </Card>
          )}
          <ImportRun collections={file.collections} documents={documents} source={source} blocked={blocked}>
            <NativeSelect
              label="Status of the new policies"
              description="Agents act by enforced ones at once"
              value={status}
              onChange={(event) => setStatus(event.currentTarget.value)}
              data={[
                { value: "", label: "As the file says" },
                { value: "monitor", label: "Monitor: record only, change nothing" },
                { value: "off", label: "Off" },
              ]}
            />
            {refused.length > 0 && (
              <Checkbox
                label="Import what is good although something is refused"
                checked={partial}
                onChange={(event) => setPartial(event.currentTarget.checked)}
              />
            )}
          </ImportRun>
        </>
      ) : (
        <Card>
          <Empty title="Nothing of it can be imported">Mend what is named above in the file, and read it again.</Empty>
        </Card>
      )}
    </>
  );
}

function Names({ names }: { names: string[] }) {
  return (
    <span className="chips">
      {names.map((name) => (
        <span className="chip" key={name}>
          <Visible text={name} />
        </span>
      ))}
    </span>
  );
}

/** Remarks below the name of what they are about, each at its field. */
function Remarks({ groups, bad = false }: { groups: [string, Remark[]][]; bad?: boolean }) {
  return (
    <ul className="plain-list considered considered--bare">
      {groups.map(([policy, remarks]) => (
        <li key={policy} className="considered__item">
          <div className="strong">{policy || "The file"}</div>
          <dl className="remarks">
            {remarks.map((remark, index) => (
              <div key={index}>
                <dt className="mono">{remark.field || "all of it"}</dt>
                <dd className={bad ? "error-words" : undefined}>{asSentence(remark.message)}</dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ul>
  );
}

function Rules({ rules }: { rules: PolicyFile["approvalRules"] }) {
  const named = (rule: PolicyFile["approvalRules"][number]) => [...rule.users, ...rule.teams];
  const later = (rule: PolicyFile["approvalRules"][number]) => [...rule.escalatedUsers, ...rule.escalatedTeams];
  return (
    <Note tone="info" title="Approvers stand inside policies there">
      <p>
        Here they belong into <Link to="/approval-rules">approval rules</Link>; none is made by the import.
      </p>
      <ul>
        {rules.map((rule) => (
          <li key={rule.name}>
            {rule.name}: {named(rule).join(", ") || "nobody named"}
            {later(rule).length > 0 && `; later ${later(rule).join(", ")}`}
            {rule.required > 1 && `; ${rule.required} have to agree`}
          </li>
        ))}
      </ul>
    </Note>
  );
}
