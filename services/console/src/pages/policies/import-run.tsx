import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import { type Attempt, useAct } from "../../graphql/hooks";
import type { Problem } from "../../graphql/problem";
import { Card } from "../../parts/page";
import { Note } from "../../parts/states";
import type { PolicyFile } from "./import";

const PolicyAct = graphql(`
  mutation ImportPolicy($input: CreatePolicyInput!) {
    createPolicy(input: $input) { policy { id name } position }
  }
`);
const CollectionAct = graphql(`
  mutation ImportCollection($input: CreateCollectionInput!) {
    createCollection(input: $input) { collection { id name } position }
  }
`);

/** One object of the file: written, or why not. */
interface Result {
  name: string;
  to?: string | undefined;
  problem?: Problem | undefined;
}

/** What passes by itself; the same step is tried again with the same key. */
const passing = ["NETWORK", "UNAVAILABLE", "RATE_LIMITED"];

/** Writes collections, then policies, one after the other; what is refused after all is named and the rest goes on. */
export function ImportRun({
  collections,
  documents,
  source,
  blocked,
  children,
}: {
  collections: PolicyFile["collections"];
  documents: Record<string, unknown>[];
  source: string;
  blocked: boolean;
  children: ReactNode;
}) {
  const policy = useAct(PolicyAct);
  const collection = useAct(CollectionAct);
  const [results, setResults] = useState<Result[]>([]);
  const [state, setState] = useState<"before" | "running" | "stopped" | "done">("before");
  const [stopped, setStopped] = useState<Problem>();
  const steps = [
    ...collections.map(({ name, kind, members }) => async (): Promise<Result> => {
      const attempt = await collection.attempt({ input: { name, kind, members } });
      return { name: `Collection ${name}`, to: attempt.data && "/collections", problem: attempt.problem };
    }),
    ...documents.map((document) => async (): Promise<Result> => {
      const attempt: Attempt<{ createPolicy: { policy: { id: string } } }> = await policy.attempt({ input: { document, comment: `Imported from ${source}` } });
      return { name: String(document.name), to: attempt.data && `/policies/${attempt.data.createPolicy.policy.id}`, problem: attempt.problem };
    }),
  ];
  const go = async () => {
    setState("running");
    setStopped(undefined);
    for (const step of steps.slice(results.length)) {
      const result = await step();
      if (result.problem && passing.includes(result.problem.code)) {
        setStopped(result.problem);
        setState("stopped");
        return;
      }
      setResults((before) => [...before, result]);
    }
    setState("done");
  };
  const failed = results.filter((result) => result.problem);
  const written = results.length - failed.length;
  return (
    <Card title={state === "done" ? "Imported" : "Import"}>
      <div className="stack">
        {state === "before" && (
          <>
            {children}
            <div className="row">
              <Button disabled={blocked} onClick={() => void go()}>
                Import {documents.length === 1 ? "1 policy" : `${documents.length} policies`}
              </Button>
              {blocked && <span className="soft small">Nothing is imported while something is refused, unless you say so above.</span>}
            </div>
          </>
        )}
        {(state === "running" || state === "stopped") && (
          <div className="stack stack--tight" role="status">
            <progress className="progress" max={steps.length} value={results.length} aria-label="Progress" />
            <span>
              {results.length} of {steps.length} done
            </span>
          </div>
        )}
        {stopped && (
          <Note tone="warn" title={stopped.message}>
            <Button mt={8} size="xs" variant="default" onClick={() => void go()}>
              Go on
            </Button>
          </Note>
        )}
        {state === "done" && (
          <Note tone={failed.length > 0 ? "warn" : "good"} title={`${written} of ${steps.length} written`}>
            {failed.length > 0 && (
              <ul>
                {failed.map((result) => (
                  <li key={result.name}>
                    {result.name}: {result.problem?.fields.map((field) => `${field.field}: ${field.message}`).join(" ") || result.problem?.message}
                  </li>
                ))}
              </ul>
            )}
          </Note>
        )}
        {written > 0 && (
          <ul className="plain-list stack stack--tight">
            {results.map(
              (result) =>
                result.to && (
                  <li key={result.name}>
                    <Link to={result.to}>{result.name}</Link>
                  </li>
                ),
            )}
          </ul>
        )}
        {state === "done" && (
          <div className="row">
            <Button component={Link} to="/policies">
              All policies
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
