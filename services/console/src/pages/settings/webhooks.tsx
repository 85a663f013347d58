import { Button, NativeSelect, NumberInput, Switch, TagsInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { WebhookDeliveryStatus, WebhookEndpointsQuery, WebhookFormat } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm } from "../../parts/confirm";
import { Copy } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Card, Facts, Page } from "../../parts/page";
import { Empty, Note, ProblemNote, Ready, type Tone } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";

const EndpointsLook = graphql(`
  query WebhookEndpoints {
    webhookEndpoints { id url description eventTypes format ordered enabled disabledReason publicKey createdAt }
  }
`);
const DeliveriesLook = graphql(`
  query WebhookDeliveries($endpointId: ID, $status: WebhookDeliveryStatus, $after: String) {
    webhookDeliveries(endpointId: $endpointId, status: $status, first: 25, after: $after) {
      nodes { id position type status nextAttemptAt endpoint { id url } attempts { at httpStatus latencyMs answer } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateWebhookEndpoint($input: CreateWebhookEndpointInput!) {
    createWebhookEndpoint(input: $input) { secret webhookEndpoint { id } position }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeWebhookEndpoint($input: ChangeWebhookEndpointInput!) {
    changeWebhookEndpoint(input: $input) { webhookEndpoint { id enabled } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteWebhookEndpoint($input: DeleteWebhookEndpointInput!) {
    deleteWebhookEndpoint(input: $input) { webhookEndpoint { id } position }
  }
`);
const RotateAct = graphql(`
  mutation RotateWebhookSecret($input: RotateWebhookSecretInput!) {
    rotateWebhookSecret(input: $input) { secret webhookEndpoint { id } position }
  }
`);
const ResendAct = graphql(`
  mutation ResendWebhooks($input: ResendWebhooksInput!) {
    resendWebhooks(input: $input) { queued webhookEndpoint { id } }
  }
`);

type Target = WebhookEndpointsQuery["webhookEndpoints"][number];

export function Webhooks() {
  const changes = can(useViewer(), "administer");
  const look = useLook(EndpointsLook, {}, { names: ["WebhookEndpoint"] });
  const [editing, setEditing] = useState<Target | "new">();
  const [deleting, setDeleting] = useState<Target>();
  const [resending, setResending] = useState<Target>();
  const [secret, setSecret] = useState<string>();
  const rotate = useAct(RotateAct);
  const remove = useAct(DeleteAct, "The webhook endpoint is deleted");
  const create = changes && <Button onClick={() => setEditing("new")}>New webhook endpoint</Button>;
  return (
    <Page title="Webhooks" about="Tells other systems what happens here, signed and at least once." actions={create}>
      <ProblemNote problem={rotate.problem} />
      <Ready look={look}>
        {({ webhookEndpoints }) =>
          webhookEndpoints.length === 0 ? (
            <Card flush>
              <Empty title="Nobody is told yet" action={create}>
                Deliveries follow the Standard Webhooks format; the secret verifies them.
              </Empty>
            </Card>
          ) : (
            <div className="stack">
              {webhookEndpoints.map((target) => (
                <Card
                  key={target.id}
                  title={target.description || target.url}
                  actions={
                    changes && (
                      <>
                        <Button size="compact-sm" variant="default" onClick={() => setEditing(target)}>
                          Edit
                        </Button>
                        <Button size="compact-sm" variant="default" onClick={() => setResending(target)}>
                          Send again…
                        </Button>
                        <Button size="compact-sm" variant="default" loading={rotate.running} onClick={() => void rotate.run({ input: { webhookEndpointId: target.id } }).then((data) => data && setSecret(data.rotateWebhookSecret.secret ?? ""))}>
                          New secret
                        </Button>
                        <Button size="compact-sm" variant="default" onClick={() => setDeleting(target)}>
                          Delete
                        </Button>
                      </>
                    )
                  }
                >
                  <div className="stack">
                    {!target.enabled && (
                      <Note tone="warn" title="It is switched off">
                        {target.disabledReason}
                      </Note>
                    )}
                    <Facts
                      items={[
                        ["Address", <Visible key="u" text={target.url} />],
                        ["Told about", target.eventTypes.length === 0 ? "Everything" : target.eventTypes.join(", ")],
                        ["Format", `${spell(target.format)}${target.ordered ? ", in order" : ""}`],
                        ["Verifying key", <span key="k" className="mono">{target.publicKey}</span>],
                      ]}
                    />
                  </div>
                </Card>
              ))}
            </div>
          )
        }
      </Ready>
      <Deliveries targets={look.data?.webhookEndpoints ?? []} />
      <Dialog open={editing !== undefined} onClose={() => setEditing(undefined)} title={editing === "new" ? "New webhook endpoint" : "Edit webhook endpoint"}>
        {editing && (
          <TargetForm
            old={editing === "new" ? undefined : editing}
            onDone={(made) => {
              setEditing(undefined);
              if (made !== undefined) setSecret(made);
            }}
          />
        )}
      </Dialog>
      <Dialog open={secret !== undefined} onClose={() => setSecret(undefined)} title="Signing secret">
        <div className="stack">
          <Note tone="warn" title="Copy it now">
            It is shown this once. After a change the old one is valid for another 24 hours.
          </Note>
          <div className="secret">{secret}</div>
          <div className="row row--between">
            <Copy text={secret ?? ""} label="Copy the secret" />
            <Button onClick={() => setSecret(undefined)}>Done</Button>
          </div>
        </div>
      </Dialog>
      <Dialog open={resending !== undefined} onClose={() => setResending(undefined)} title="Send a range again">
        {resending && <ResendForm webhookEndpointId={resending.id} onDone={() => setResending(undefined)} />}
      </Dialog>
      {deleting && (
        <Confirm
          open
          onClose={() => setDeleting(undefined)}
          title="Delete this webhook endpoint?"
          action="Delete"
          dangerous
          running={remove.running}
          problem={remove.problem}
          onConfirm={() => void remove.run({ input: { webhookEndpointId: deleting.id } }).then((done) => done && setDeleting(undefined))}
        >
          Deliveries that wait are dropped.
        </Confirm>
      )}
    </Page>
  );
}

function TargetForm({ old, onDone }: { old: Target | undefined; onDone: (secret?: string) => void }) {
  const [url, setUrl] = useState(old?.url ?? "");
  const [description, setDescription] = useState(old?.description ?? "");
  const [eventTypes, setTypes] = useState(old?.eventTypes ?? []);
  const [format, setFormat] = useState<WebhookFormat>(old?.format ?? "STANDARD");
  const [ordered, setOrdered] = useState(old?.ordered ?? false);
  const [enabled, setEnabled] = useState(old?.enabled ?? true);
  const create = useAct(CreateAct);
  const change = useAct(ChangeAct, "The webhook endpoint is saved");
  const problem = create.problem ?? change.problem;
  const error = (field: string) => messageFor(problem?.fields ?? [], field);
  const save = async () => {
    const common = { url: url.trim(), description, eventTypes, format, ordered };
    if (old) {
      if (await change.run({ input: { webhookEndpointId: old.id, enabled, ...common } })) onDone();
    } else {
      const data = await create.run({ input: common });
      if (data) onDone(data.createWebhookEndpoint.secret ?? "");
    }
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <TextInput label="Address" type="url" required placeholder="https://hooks.example.com/portcullis" value={url} error={error("url")} onChange={(event) => setUrl(event.currentTarget.value)} />
      <TextInput label="Description" value={description} onChange={(event) => setDescription(event.currentTarget.value)} />
      <TagsInput label="Told about" description="Types such as request.approved; empty means everything" acceptValueOnBlur value={eventTypes} error={error("eventTypes")} onChange={setTypes} />
      <NativeSelect label="Format" value={format} onChange={(event) => setFormat(event.currentTarget.value as WebhookFormat)} data={[{ value: "STANDARD", label: "Standard Webhooks" }, { value: "CLOUD_EVENTS", label: "CloudEvents 1.0" }]} />
      <Switch label="In order" description="One at a time; a failing delivery holds back all later ones" checked={ordered} onChange={(event) => setOrdered(event.currentTarget.checked)} />
      {old && <Switch label="In use" checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />}
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button type="submit" loading={create.running || change.running}>
          Save
        </Button>
      </div>
    </form>
  );
}

function ResendForm({ webhookEndpointId, onDone }: { webhookEndpointId: string; onDone: () => void }) {
  const [from, setFrom] = useState(1);
  const [until, setUntil] = useState(1);
  const resend = useAct(ResendAct, "The deliveries are queued");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void resend.run({ input: { webhookEndpointId, fromPosition: from, untilPosition: until } }).then((done) => done && onDone());
      }}
    >
      <div className="fields">
        <NumberInput label="From position" min={1} allowDecimal={false} value={from} onChange={(value) => setFrom(Number(value))} />
        <NumberInput label="To position" min={from} allowDecimal={false} value={until} onChange={(value) => setUntil(Number(value))} />
      </div>
      <ProblemNote problem={resend.problem} />
      <div className="row row--end">
        <Button type="submit" loading={resend.running}>
          Send again
        </Button>
      </div>
    </form>
  );
}

const tones: Record<WebhookDeliveryStatus, Tone> = { WAITING: "info", DELIVERED: "good", RETRYING: "warn", DEAD: "bad" };
const names = ["endpoint", "status"] as const;

function Deliveries({ targets }: { targets: readonly Target[] }) {
  const { values, set } = useFilters(names);
  const cursor = useCursor();
  const look = useLook(
    DeliveriesLook,
    { endpointId: values.endpoint || null, status: (values.status as WebhookDeliveryStatus) || null, after: cursor.after },
    { names: ["WebhookDelivery"] },
  );
  return (
    <>
      <div className="filters">
        <NativeSelect label="Deliveries to" value={values.endpoint} onChange={(event) => set("endpoint", event.currentTarget.value)} data={[{ value: "", label: "Every endpoint" }, ...targets.map((target) => ({ value: target.id, label: target.description || target.url }))]} />
        <NativeSelect label="Status" value={values.status} onChange={(event) => set("status", event.currentTarget.value)} data={[{ value: "", label: "Any" }, ...(["WAITING", "RETRYING", "DEAD", "DELIVERED"] as const).map((value) => ({ value, label: spell(value) }))]} />
      </div>
      <Card title="Deliveries" flush>
        <Ready look={look}>
          {({ webhookDeliveries }) =>
            webhookDeliveries.nodes.length === 0 ? (
              <Empty title="No deliveries" />
            ) : (
              <Table
                caption="Deliveries"
                rows={webhookDeliveries.nodes}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Event",
                    bare: true,
                    cell: (row) => (
                      <div>
                        <div className="table__main">{row.type}</div>
                        <div className="soft small">
                          position {row.position} to <Visible text={row.endpoint.url} />
                        </div>
                      </div>
                    ),
                  },
                  { label: "Status", cell: (row) => <Tag tone={tones[row.status]}>{spell(row.status)}</Tag> },
                  { label: "Attempts", cell: (row) => row.attempts.length },
                  {
                    label: "Last answer",
                    cell: (row) => {
                      const last = row.attempts.at(-1);
                      if (!last) return <span className="soft">None yet</span>;
                      return (
                        <div>
                          {last.httpStatus ?? "No answer"} <span className="soft">after {last.latencyMs} ms</span>
                          {last.answer && row.status !== "DELIVERED" && (
                            <div className="small">
                              <Visible text={last.answer} prose />
                            </div>
                          )}
                        </div>
                      );
                    },
                  },
                  { label: "Next", cell: (row) => (row.nextAttemptAt ? <When at={row.nextAttemptAt} /> : <span className="soft">None</span>) },
                ]}
              />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.webhookDeliveries.pageInfo} />}
    </>
  );
}
