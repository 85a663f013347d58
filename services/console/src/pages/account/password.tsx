import { Button, PasswordInput } from "@mantine/core";
import { useState } from "react";
import { Card } from "../../parts/page";
import { Note } from "../../parts/states";
import { useToast } from "../../parts/toasts";
import { changePassword, type Session } from "../../session/doors";
import { SHORTEST_PASSWORD } from "../../session/passwords";
import { useTry } from "./tried";

export function Password({ session }: { session: Session }) {
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const toast = useToast();
  const change = useTry();
  const short = next !== "" && next.length < SHORTEST_PASSWORD;
  const differs = again !== "" && again !== next;
  const submit = async () => {
    if (!(await change.run(() => changePassword(session, old, next)))) return;
    setOld("");
    setNext("");
    setAgain("");
    toast("Your password is changed; your other sessions have ended");
  };
  return (
    <Card title="Password">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {change.refusal && <Note tone="bad">{change.refusal}</Note>}
        <PasswordInput label="Present password" required autoComplete="current-password" value={old} onChange={(event) => setOld(event.currentTarget.value)} />
        <PasswordInput
          label="New password"
          description={`At least ${SHORTEST_PASSWORD} characters`}
          required
          autoComplete="new-password"
          value={next}
          error={short ? `At least ${SHORTEST_PASSWORD} characters` : undefined}
          onChange={(event) => setNext(event.currentTarget.value)}
        />
        <PasswordInput label="New password, once more" required autoComplete="new-password" value={again} error={differs ? "The two are not the same" : undefined} onChange={(event) => setAgain(event.currentTarget.value)} />
        <p className="soft small">Your sessions on other devices end with the change; this one stays.</p>
        <div className="row">
          <Button type="submit" loading={change.running} disabled={!old || !next || short || next !== again}>
            Change password
          </Button>
        </div>
      </form>
    </Card>
  );
}
