import { Button, NativeSelect } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { Problem } from "../graphql/problem";
import { Copy } from "./copy";
import { Note, ProblemNote } from "./states";

/** When what is made now ends, as the server wants it; null for never. */
export function expiry(days: string): string | null {
  return days === "" ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString();
}

/** How long something is good, in days; empty is without end. */
export function Lifetime({ days, setDays, choices, error }: { days: string; setDays: (days: string) => void; choices: number[]; error?: string | undefined }) {
  return (
    <NativeSelect
      label="Valid for"
      value={days}
      error={error}
      onChange={(event) => setDays(event.currentTarget.value)}
      data={[...choices.map((count) => ({ value: String(count), label: count === 1 ? "1 day" : `${count} days` })), { value: "", label: "Without end" }]}
    />
  );
}

export interface SecretFormProps {
  /** What the button does. */
  action: string;
  /** What the secret is called, as in `Copy the token`. */
  noun: string;
  /** Resolves to the secret, or to undefined where the server refused. */
  send: () => Promise<string | null | undefined>;
  running: boolean;
  problem: Problem | undefined;
  disabled?: boolean;
  onDone: () => void;
  children: ReactNode;
}

/** A form that is answered with a secret. */
export function SecretForm({ action, noun, send, running, problem, disabled = false, onDone, children }: SecretFormProps) {
  const [secret, setSecret] = useState<string>();
  if (secret !== undefined) {
    return (
      <Once onDone={onDone} action={<Copy text={secret} label={`Copy the ${noun}`} />}>
        <div className="secret">{secret}</div>
      </Once>
    );
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void send().then((made) => made != null && setSecret(made));
      }}
    >
      {children}
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={running} disabled={disabled}>
          {action}
        </Button>
      </div>
    </form>
  );
}

/** A secret that is shown this once. */
export function Once({ children, action, onDone }: { children: ReactNode; action: ReactNode; onDone: () => void }) {
  return (
    <div className="stack">
      <Note tone="warn" title="Keep it now">
        It is shown this once; the server keeps only its hash.
      </Note>
      {children}
      <div className="row row--between">
        {action}
        <Button onClick={onDone}>Done</Button>
      </div>
    </div>
  );
}
