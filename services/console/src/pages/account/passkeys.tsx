import { Button, TextInput } from "@mantine/core";
import { useCallback, useEffect, useState } from "react";
import { Card } from "../../parts/page";
import { Bones, Failed, Note } from "../../parts/states";
import { Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { useToast } from "../../parts/toasts";
import { listPasskeys, type Passkey, passkeyOptions, type Passkeys as List, Refusal, registerPasskey, removePasskey, type Session } from "../../session/doors";
import { createPasskey, passkeysWork } from "../../session/passkeys";
import { Prove } from "./prove";
import { useTry } from "./tried";

type Work = { kind: "add"; name: string } | { kind: "remove"; passkey: Passkey };

/** One's own passkeys. Adding and removing ask who one is, where that was not proved within five minutes. */
export function Passkeys({ session }: { session: Session }) {
  const [list, setList] = useState<List>();
  const [name, setName] = useState("");
  const [asking, setAsking] = useState<{ work: Work; methods: string[] }>();
  const look = useTry();
  const change = useTry();
  const toast = useToast();
  const { run } = look;
  const load = useCallback(() => void run(async () => setList(await listPasskeys())), [run]);
  useEffect(load, [load]);
  const perform = async (work: Work) => {
    setAsking(undefined);
    const done = await change.run(async () => {
      try {
        if (work.kind === "remove") await removePasskey(session, work.passkey.id);
        else await registerPasskey(session, work.name, await createPasskey(await passkeyOptions(session)));
      } catch (error) {
        if (!(error instanceof Refusal && error.code === "STEP_UP_NEEDED")) throw error;
        setAsking({ work, methods: error.methods });
        return;
      }
      if (work.kind === "add") setName("");
      toast(work.kind === "add" ? "The passkey is added" : "The passkey is removed");
    });
    if (done) load();
  };
  return (
    <Card title="Passkeys">
      <div className="stack">
        <p className="soft">A passkey is this device, your phone or a security key. It takes the place of the one-time code when you sign in and decide.</p>
        {change.refusal && <Note tone="bad">{change.refusal}</Note>}
        {!list && (look.refusal ? <Failed message={look.refusal} again={load} /> : <Bones lines={2} />)}
        {list && list.passkeys.length > 0 && (
          <ul className="plain-list stack stack--tight" aria-label="Your passkeys">
            {list.passkeys.map((passkey) => (
              <li key={passkey.id} className="row row--between">
                <span>
                  <strong>{passkey.name}</strong> {passkey.flagged && <Tag tone="bad">May have been copied: remove it</Tag>}
                  <br />
                  <span className="soft small">{passkey.lastUsedAt ? <>Last used <When at={passkey.lastUsedAt} /></> : "Not used yet"}</span>
                </span>
                <Button size="compact-sm" variant="default" aria-label={`Remove ${passkey.name}`} disabled={change.running} onClick={() => void perform({ kind: "remove", passkey })}>
                  Remove
                </Button>
              </li>
            ))}
          </ul>
        )}
        {list && asking && <Prove session={session} methods={asking.methods} onCancel={() => setAsking(undefined)} onDone={() => void perform(asking.work)} />}
        {list && !asking && !(list.available && passkeysWork()) && <p className="soft">Passkeys work where the console has a host name and HTTPS, or on localhost.</p>}
        {list?.available && !asking && passkeysWork() && (
          <form
            className="row row--bottom"
            onSubmit={(event) => {
              event.preventDefault();
              void perform({ kind: "add", name: name.trim() });
            }}
          >
            <TextInput className="grow" label="Name of a new passkey" placeholder="Laptop" required maxLength={200} value={name} onChange={(event) => setName(event.currentTarget.value)} />
            <Button type="submit" loading={change.running} disabled={!name.trim()}>
              Add passkey
            </Button>
          </form>
        )}
      </div>
    </Card>
  );
}
