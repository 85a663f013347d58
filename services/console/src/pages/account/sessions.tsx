import { Button } from "@mantine/core";
import { useCallback, useEffect, useState } from "react";
import { Confirm } from "../../parts/confirm";
import { Card } from "../../parts/page";
import { Bones, Failed } from "../../parts/states";
import { Table } from "../../parts/table";
import { methodOf, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { useToast } from "../../parts/toasts";
import { endSession, listSessions, type Session, type SessionRow } from "../../session/doors";
import { useTry } from "./tried";

/** Where one is signed in, with a way to end what one does not know. */
export function Sessions({ session }: { session: Session }) {
  const [rows, setRows] = useState<SessionRow[]>();
  const [ending, setEnding] = useState<SessionRow>();
  const look = useTry();
  const end = useTry();
  const toast = useToast();
  const { run } = look;
  const load = useCallback(() => void run(async () => setRows(await listSessions())), [run]);
  useEffect(load, [load]);
  const confirmed = async (row: SessionRow) => {
    if (!(await end.run(() => endSession(session, row.id)))) return;
    setEnding(undefined);
    toast("The session has ended");
    load();
  };
  return (
    <Card title="Where you are signed in" flush>
      {rows ? (
        <Table
          caption="Your sessions, newest first"
          rows={rows}
          rowKey={(row) => row.id}
          columns={[
            {
              label: "Browser",
              bare: true,
              wide: true,
              cell: (row) => (
                <span className="row" title={row.agent ?? undefined}>
                  <span className="table__main">{browserOf(row.agent)}</span>
                  {row.current && <Tag tone="good">This one</Tag>}
                </span>
              ),
            },
            { label: "From", cell: (row) => row.address ?? <span className="soft">Unknown</span> },
            { label: "Signed in by", cell: (row) => methodOf(row.method) },
            { label: "Seen", cell: (row) => <When at={row.seenAt} /> },
            { label: "Ends", cell: (row) => <When at={row.expiresAt} /> },
            {
              label: "",
              cell: (row) =>
                !row.current && (
                  <div className="row row--end">
                    <Button size="compact-sm" variant="default" aria-label={`End the session of ${browserOf(row.agent)}`} onClick={() => setEnding(row)}>
                      End
                    </Button>
                  </div>
                ),
            },
          ]}
        />
      ) : look.refusal ? (
        <Failed message={look.refusal} again={load} />
      ) : (
        <Bones lines={3} />
      )}
      {ending && (
        <Confirm
          open
          onClose={() => setEnding(undefined)}
          title="End this session?"
          action="End it"
          dangerous
          running={end.running}
          problem={end.refusal ? { code: "REFUSED", message: end.refusal, fields: [] } : undefined}
          onConfirm={() => void confirmed(ending)}
        >
          Whoever uses it has to sign in again. If you do not know it, change your password as well.
        </Confirm>
      )}
    </Card>
  );
}

/** The browser and system that a user agent string names, as far as people care. */
export function browserOf(agent: string | null): string {
  if (!agent) return "Unknown browser";
  const browser = [
    ["Edg/", "Edge"],
    ["OPR/", "Opera"],
    ["Firefox/", "Firefox"],
    ["Chrome/", "Chrome"],
    ["Safari/", "Safari"],
  ].find(([mark]) => agent.includes(mark as string))?.[1];
  const system = [
    ["Windows", "Windows"],
    ["Android", "Android"],
    ["iPhone", "iOS"],
    ["iPad", "iPadOS"],
    ["Mac OS X", "macOS"],
    ["Linux", "Linux"],
  ].find(([mark]) => agent.includes(mark as string))?.[1];
  if (!browser) return "A program";
  return system ? `${browser} on ${system}` : browser;
}
