import { Button, NativeSelect } from "@mantine/core";
import type { ReactNode } from "react";
import { Note } from "./states";

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
