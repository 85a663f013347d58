import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { Loaded } from "../graphql/hooks";
import type { Problem } from "../graphql/problem";
import { Page } from "./page";
import { When } from "./time";

export type Tone = "neutral" | "good" | "warn" | "bad" | "info";

/** A coloured remark inside a page. */
export function Note({ tone = "info", title, children }: { tone?: Tone; title?: ReactNode; children?: ReactNode }) {
  return (
    <div className={`note note--${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <div className="note__text">
        {title && <div className="note__title">{title}</div>}
        {children}
      </div>
    </div>
  );
}

/** What a refusal says, with the moment that it is about. */
export function Saying({ message, by, at }: { message: string; by?: string | null | undefined; at?: string | null | undefined }) {
  return (
    <>
      {message.replace(/\.$/, "")}
      {by && (
        <>
          {" by "}
          <bdi>{by}</bdi>
        </>
      )}
      {at && (
        <>
          , <When at={at} />
        </>
      )}
      .
    </>
  );
}

/** Why the server refused; nothing where it did not. Problems of single fields are listed below, and what else there is to say. */
export function ProblemNote({ problem, children }: { problem: Problem | undefined; children?: ReactNode }) {
  if (!problem) return null;
  return (
    <Note tone="bad" title={problem.at ? <Saying {...problem} /> : problem.message}>
      {children}
      {problem.fields.length > 1 && (
        <ul>
          {problem.fields.map((field) => (
            <li key={`${field.field}/${field.code}`}>
              <span className="mono">{field.field}</span>: {field.message}
            </li>
          ))}
        </ul>
      )}
    </Note>
  );
}

/** What a list says when there is nothing in it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="blank">
      <svg className="blank__mark" viewBox="0 0 32 32" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
        <path d="M6 26V14a10 10 0 0 1 20 0v12M12 8v18M20 8v18M16 5v21M6 16h20M6 22h20" strokeLinecap="round" />
      </svg>
      <div className="blank__title">{title}</div>
      {children && <div className="blank__text">{children}</div>}
      {action}
    </div>
  );
}

export function Bones({ lines = 5 }: { lines?: number }) {
  return (
    <div className="bones" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className={`bone ${index % 3 === 1 ? "bone--mid" : index % 3 === 2 ? "bone--short" : ""}`} />
      ))}
    </div>
  );
}

/** What is not for the viewer's roles. */
export function Forbidden() {
  return (
    <Empty title="Your roles do not open this">
      An owner or an administrator can give you one that does. The roles you have are listed at “Your account”.
    </Empty>
  );
}

/** Something that could not be loaded, and another try. */
export function Failed({ message, again }: { message: string; again: () => void }) {
  return (
    <div className="blank" role="alert">
      <div className="blank__title">This could not be loaded</div>
      <div className="blank__text">{message}</div>
      <Button variant="default" onClick={again}>
        Try again
      </Button>
    </div>
  );
}

/** Loading, failed, or the data: in one place, so that no page forgets one of them. */
export function Ready<Data>({
  look,
  lines,
  children,
}: {
  look: Loaded<Data>;
  lines?: number;
  children: (data: Data) => ReactNode;
}) {
  if (look.data) {
    return (
      <>
        {look.late && <Note tone="warn">The server does not answer. This is what it said last.</Note>}
        {children(look.data)}
      </>
    );
  }
  if (look.problem?.code === "FORBIDDEN") {
    return <Forbidden />;
  }
  if (look.problem) {
    return <Failed message={look.problem.message} again={look.reload} />;
  }
  return <Bones lines={lines} />;
}

/** For an id that does not exist, or that may not be seen; the two are not told apart. */
export function Missing({ what }: { what: string }) {
  return (
    <Page title={`This ${what} does not exist`}>
      <div className="card">
        <Empty title="Nothing is kept under this address">It was never there, or it is not yours to see.</Empty>
      </div>
    </Page>
  );
}
