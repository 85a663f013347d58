import { Button, Textarea } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { Act } from "../graphql/hooks";
import type { Problem } from "../graphql/problem";
import { Dialog } from "./dialog";
import { ProblemNote } from "./states";

export interface ConfirmProps {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  action: string;
  dangerous?: boolean;
  /** Asks for words; `required` ones must be given before the button works. */
  reason?: { label: string; required: boolean };
  running: boolean;
  problem: Problem | undefined;
  onConfirm: (reason: string) => void;
}

/** Asks before something that cannot be taken back. */
export function Confirm(props: ConfirmProps) {
  const [reason, setReason] = useState("");
  const missing = props.reason?.required === true && reason.trim() === "";
  return (
    <Dialog open={props.open} onClose={props.onClose} title={props.title}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!missing) props.onConfirm(reason.trim());
        }}
      >
        <div>{props.children}</div>
        {props.reason && (
          <Textarea
            label={props.reason.label}
            required={props.reason.required}
            value={reason}
            rows={3}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
        )}
        <ProblemNote problem={props.problem} />
        <div className="row row--end">
          <Button variant="default" onClick={props.onClose}>
            Keep as it is
          </Button>
          <Button type="submit" color={props.dangerous ? "brick" : undefined} loading={props.running} disabled={missing}>
            {props.action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export interface ConfirmActProps<Data, Variables> {
  act: Act<Data, Variables>;
  variables: Variables;
  title: string;
  action: string;
  onClose: () => void;
  children: ReactNode;
}

/** Asks before a mutation that takes something away, runs it, and closes once it is done. */
export function ConfirmAct<Data, Variables>({ act, variables, title, action, onClose, children }: ConfirmActProps<Data, Variables>) {
  const confirmed = async () => {
    if (await act.run(variables)) onClose();
  };
  return (
    <Confirm open onClose={onClose} title={title} action={action} dangerous running={act.running} problem={act.problem} onConfirm={() => void confirmed()}>
      {children}
    </Confirm>
  );
}
