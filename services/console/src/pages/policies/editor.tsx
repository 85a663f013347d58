import { SegmentedControl, Textarea } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { graphql } from "../../gql";
import type { PolicyReportQuery } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { asSentence, type FieldProblem, trimField } from "../../graphql/problem";
import { Card } from "../../parts/page";
import { Note } from "../../parts/states";
import { parseJson, writeJson } from "./document";
import { PolicyForm } from "./form";

const ReportLook = graphql(`
  query PolicyReport($document: PolicyDocument!, $policyId: ID) {
    validatePolicy(document: $document, policyId: $policyId) {
      problems { field code message }
      warnings { code level message field other { id name } }
    }
  }
`);

type Warning = PolicyReportQuery["validatePolicy"]["warnings"][number];

export interface Draft {
  raw: Record<string, unknown>;
  setRaw: (raw: Record<string, unknown>) => void;
  text: string;
  setText: (text: string) => void;
  /** Why the JSON cannot be read; the form waits until it can. */
  unreadable: string | undefined;
}

/** One document behind both editors: typing in one shows in the other. */
export function useDraft(start: Record<string, unknown>): Draft {
  const [raw, setRaw] = useState(start);
  const [text, setText] = useState(() => writeJson(start));
  const [unreadable, setUnreadable] = useState<string>();
  return {
    raw,
    text,
    unreadable,
    setRaw: (next) => {
      setRaw(next);
      setText(writeJson(next));
      setUnreadable(undefined);
    },
    setText: (next) => {
      setText(next);
      const parsed = parseJson(next);
      if ("raw" in parsed) {
        setRaw(parsed.raw);
        setUnreadable(undefined);
      } else setUnreadable(parsed.error);
    },
  };
}

/** The server's verdict on a draft, 400 ms after the last change. */
export function useReport(raw: Record<string, unknown>, policyId: string | null): { problems: FieldProblem[]; warnings: Warning[] } {
  const [settled, setSettled] = useState(raw);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(raw), 400);
    return () => clearTimeout(timer);
  }, [raw]);
  const { data } = useLook(ReportLook, { document: settled, policyId });
  const report = data?.validatePolicy;
  return {
    problems: (report?.problems ?? []).map((problem) => ({ ...problem, field: trimField(problem.field), message: asSentence(problem.message) })),
    warnings: report?.warnings ?? [],
  };
}

/** Form and JSON side by side in one card, with the problems and warnings the server sees. */
export function PolicyEditor({
  draft,
  problems,
  warnings,
  lockType,
  aside,
}: {
  draft: Draft;
  problems: FieldProblem[];
  warnings: Warning[];
  lockType: boolean;
  aside: ReactNode;
}) {
  const [mode, setMode] = useState<"form" | "json">("form");
  const shownMode = draft.unreadable ? "json" : mode;
  return (
    <div className="columns columns--aside">
      <Card
        title="Policy"
        actions={
          <SegmentedControl
            aria-label="Editor"
            size="xs"
            value={shownMode}
            onChange={(value) => setMode(value as "form" | "json")}
            data={[
              { value: "form", label: "Form", disabled: draft.unreadable !== undefined },
              { value: "json", label: "JSON" },
            ]}
          />
        }
      >
        {shownMode === "form" ? (
          <PolicyForm raw={draft.raw} onChange={draft.setRaw} problems={problems} lockType={lockType} />
        ) : (
          <Textarea
            label="Policy document"
            description="The same document as in the form; also the format of import, export and tests"
            autosize
            minRows={18}
            maxRows={40}
            spellCheck={false}
            styles={{ input: { fontFamily: "var(--mono)", fontSize: "0.84rem" } }}
            value={draft.text}
            error={draft.unreadable}
            onChange={(event) => draft.setText(event.currentTarget.value)}
          />
        )}
      </Card>
      <div className="stack">
        {aside}
        {problems.length > 0 && (
          <Note tone="bad" title={problems.length === 1 ? "One thing keeps it from being saved" : `${problems.length} things keep it from being saved`}>
            <ul>
              {problems.map((problem) => (
                <li key={`${problem.field}/${problem.code}/${problem.message}`}>
                  {problem.field && <span className="mono">{problem.field}: </span>}
                  {problem.message}
                </li>
              ))}
            </ul>
          </Note>
        )}
        <Warnings warnings={warnings} />
      </div>
    </div>
  );
}

/** What lint says; such a policy may be saved all the same. */
export function Warnings({ warnings }: { warnings: readonly Pick<Warning, "code" | "message" | "level">[] }) {
  if (warnings.length === 0) return null;
  return (
    <Note tone="warn" title={warnings.length === 1 ? "A warning" : `${warnings.length} warnings`}>
      <ul>
        {warnings.map((warning) => (
          <li key={`${warning.code}/${warning.message}`}>{warning.message}</li>
        ))}
      </ul>
    </Note>
  );
}
