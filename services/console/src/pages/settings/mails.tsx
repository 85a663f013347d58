import { Button } from "@mantine/core";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { MailsPageQuery, MailState } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { Card } from "../../parts/page";
import { Note, ProblemNote, Ready, type Tone } from "../../parts/states";
import { type Column, Pager, Table, useCursor } from "../../parts/table";
import { spell, Tag } from "../../parts/tags";
import { count, When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";

const MailsLook = graphql(`
  query MailsPage($after: String) {
    mailFigures { waiting sent failed sending }
    mails(states: [WAITING, REFUSED, FAILED], first: 50, after: $after) {
      nodes { position part kind state attempts lastAnswer at nextAttemptAt requestId user { id name email } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const ResendAct = graphql(`
  mutation ResendMail($input: ResendMailInput!) {
    resendMail(input: $input) { mail { position part state attempts lastAnswer nextAttemptAt } }
  }
`);

type MailRow = MailsPageQuery["mails"]["nodes"][number];

const TONES: Record<MailState, Tone> = { WAITING: "info", SENT: "good", REFUSED: "bad", FAILED: "bad", MOOT: "neutral" };

/** A mail is named by its event, its number among that event's mails, and its reader. */
export const keyOf = (mail: Pick<MailRow, "position" | "part"> & { user?: { id: string } | null }) => `${mail.position}.${mail.part}.${mail.user?.id ?? ""}`;

/** What waits to be sent and what the mail server did not take. */
export function Mails() {
  const cursor = useCursor();
  const look = useLook(MailsLook, { after: cursor.after });
  const resend = useAct(ResendAct, "The mail is sent again");
  const changes = can(useViewer(), "administer");
  const columns: Column<MailRow>[] = [
    { label: "To", cell: (mail) => mail.user?.email ?? mail.user?.name ?? "Nobody any more" },
    { label: "About", cell: (mail) => (mail.requestId ? <Link to={`/requests/${mail.requestId}`}>{spell(mail.kind)}</Link> : spell(mail.kind)) },
    { label: "State", cell: (mail) => <Tag tone={TONES[mail.state]}>{spell(mail.state)}</Tag> },
    { label: "Last answer", cell: (mail) => mail.lastAnswer ?? "None yet" },
    { label: "Attempts", cell: (mail) => count(mail.attempts) },
    { label: "When", cell: (mail) => <When at={mail.nextAttemptAt ?? mail.at} /> },
    {
      label: "",
      cell: (mail) => {
        const { user, state } = mail;
        if (!changes || !user || (state !== "REFUSED" && state !== "FAILED")) return null;
        return (
          <Button size="compact-xs" variant="default" loading={resend.running} aria-label={`Send again to ${user.email ?? user.id}`} onClick={() => void resend.run({ input: { position: mail.position, part: mail.part, userId: user.id } }).then((done) => done && look.reload())}>
            Send again
          </Button>
        );
      },
    },
  ];
  return (
    <Card title="Mails">
      <Ready look={look} lines={3}>
        {({ mailFigures: figures, mails }) => (
          <div className="stack">
            {!figures.sending && <Note tone="warn">No mail server is set: mails wait until the operator sets one.</Note>}
            <p className="soft">
              {count(figures.waiting)} waiting, {count(figures.sent)} sent, {count(figures.failed)} refused or given up.
            </p>
            <ProblemNote problem={resend.problem} />
            {mails.nodes.length > 0 && <Table caption="Mails that wait or were not taken" rows={mails.nodes} rowKey={keyOf} columns={columns} />}
            <Pager cursor={cursor} pageInfo={mails.pageInfo} />
          </div>
        )}
      </Ready>
    </Card>
  );
}
