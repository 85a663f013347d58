import { Button, NativeSelect } from "@mantine/core";
import { useCallback, useState } from "react";
import { Link, useParams } from "react-router";
import { graphql } from "../../gql";
import type { EndpointPageQuery } from "../../gql/graphql";
import { useAct, useLive, useLook } from "../../graphql/hooks";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Card, Facts, Page } from "../../parts/page";
import { Empty, Missing, Note, ProblemNote, Ready } from "../../parts/states";
import { Table } from "../../parts/table";
import { EndpointTag, RequestTag, spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { subject } from "../requests/queue";
import { Snapshot } from "./endpoints";

const EndpointLook = graphql(`
  query EndpointPage($id: ID!) {
    endpoint(id: $id) {
      id name status os osVersion agentVersion machineId registeredAt lastSeenAt offeredSnapshot appliedSnapshot appliedAt
      queueLength clockSkewMs reregistered gaps reusedNumbers numbersReusedAt removedAt
      plugins { name state }
      deploymentGroup { id name }
      accounts { account personId firstSeenAt user { id name } }
    }
    requests(filter: { endpointId: $id }, sort: NEWEST_FIRST, first: 10) {
      nodes { id status submittedAt requester { account } action { type application { path } commandLine file } }
    }
    deploymentGroups { id name }
  }
`);
const RemoveAct = graphql(`
  mutation RemoveEndpoint($input: RemoveEndpointInput!) {
    removeEndpoint(input: $input) { endpoint { id status removedAt } position }
  }
`);
const MoveAct = graphql(`
  mutation MoveEndpoint($input: MoveEndpointInput!) {
    moveEndpoint(input: $input) { endpoint { id deploymentGroup { id name } } position }
  }
`);
const StatusRang = graphql(`
  subscription OneEndpointRang {
    endpointStatusChanged { id }
  }
`);

export function EndpointPage() {
  const id = useParams().id ?? "";
  const look = useLook(EndpointLook, { id });
  const { reload } = look;
  useLive(
    StatusRang,
    useCallback(
      (data) => {
        if (!data || data.endpointStatusChanged.id === id) reload();
      },
      [reload, id],
    ),
  );
  return <Ready look={look}>{(data) => (data.endpoint ? <Body data={data} endpoint={data.endpoint} /> : <Missing what="endpoint" />)}</Ready>;
}

function Body({ data, endpoint }: { data: EndpointPageQuery; endpoint: NonNullable<EndpointPageQuery["endpoint"]> }) {
  const changes = can(useViewer(), "administer") && !endpoint.removedAt;
  const [asking, setAsking] = useState<"move" | "remove">();
  const [group, setGroup] = useState(endpoint.deploymentGroup.id);
  const remove = useAct(RemoveAct, "The endpoint is removed");
  const move = useAct(MoveAct, "The endpoint is moved");
  const close = () => setAsking(undefined);
  return (
    <Page
      title={endpoint.name}
      heading={<Visible text={endpoint.name} prose />}
      trail={{ to: "/endpoints", label: "Endpoints" }}
      about={
        <span className="row apart">
          <EndpointTag status={endpoint.status} />
          <span>
            {spell(endpoint.os)} {endpoint.osVersion}
          </span>
          {endpoint.lastSeenAt && (
            <span>
              seen <When at={endpoint.lastSeenAt} />
            </span>
          )}
        </span>
      }
      actions={
        changes && (
          <>
            <Button variant="default" onClick={() => setAsking("move")}>
              Move…
            </Button>
            <Button variant="default" onClick={() => setAsking("remove")}>
              Remove…
            </Button>
          </>
        )
      }
    >
      {endpoint.reregistered && (
        <Note tone="warn" title="This machine was registered before">
          It is a new endpoint and inherits nothing from the old one.
        </Note>
      )}
      {endpoint.gaps > 0 && (
        <Note tone="bad" title="Records are missing">
          The agent's numbering has {endpoint.gaps === 1 ? "a gap" : `${endpoint.gaps} gaps`}: something it recorded never arrived.
        </Note>
      )}
      {endpoint.reusedNumbers > 0 && endpoint.numbersReusedAt && (
        <Note tone="bad" title="Restored from a copy, or cloned">
          {endpoint.reusedNumbers === 1 ? "A record came under a number that another record has" : `${endpoint.reusedNumbers} records came under numbers that other records have`}
          , last <When at={endpoint.numbersReusedAt} />. All of them are kept.
        </Note>
      )}
      <div className="columns columns--half">
        <Card title="Agent">
          <Facts
            items={[
              ["Group", endpoint.deploymentGroup.name],
              ["Snapshot", <Snapshot key="s" offered={endpoint.offeredSnapshot} applied={endpoint.appliedSnapshot} />],
              ["Applied", endpoint.appliedAt && <When key="a" at={endpoint.appliedAt} />],
              ["Version", endpoint.agentVersion ?? "Unknown"],
              ["Waiting records", endpoint.queueLength ?? "Unknown"],
              ["Clock", endpoint.clockSkewMs == null ? "Unknown" : `${endpoint.clockSkewMs > 0 ? "+" : ""}${(endpoint.clockSkewMs / 1000).toFixed(1)} s against the server`],
              [
                "Plugins",
                endpoint.plugins.length > 0 && (
                  <span className="chips">
                    {endpoint.plugins.map((plugin) => (
                      <Tag key={plugin.name} tone={plugin.state === "running" ? "good" : "warn"}>
                        <Visible text={`${plugin.name}: ${plugin.state}`} prose />
                      </Tag>
                    ))}
                  </span>
                ),
              ],
              ["Registered", <When key="r" at={endpoint.registeredAt} plain />],
              ["Machine", <span key="m" className="mono">{endpoint.machineId}</span>],
              ["Id", <span key="i" className="mono">{endpoint.id}</span>],
            ]}
          />
        </Card>
        <Card title="Accounts" flush>
          {endpoint.accounts.length === 0 ? (
            <Empty title="No account was seen yet" />
          ) : (
            <Table
              caption="Accounts"
              rows={endpoint.accounts}
              rowKey={(row) => row.account}
              columns={[
                { label: "Account", bare: true, cell: (row) => <Visible text={row.account} /> },
                { label: "User", cell: (row) => row.user?.name ?? <Tag tone="warn">Not linked</Tag> },
                { label: "First seen", cell: (row) => <When at={row.firstSeenAt} /> },
              ]}
            />
          )}
        </Card>
      </div>
      <Card title="Latest requests" flush>
        {data.requests.nodes.length === 0 ? (
          <Empty title="No request came from here" />
        ) : (
          <Table
            caption="Latest requests"
            rows={data.requests.nodes}
            rowKey={(row) => row.id}
            columns={[
              {
                label: "What",
                bare: true,
                cell: (row) => (
                  <Link className="table__main" to={`/requests/${row.id}`}>
                    <Visible text={subject(row.action)} />
                  </Link>
                ),
              },
              { label: "Who", cell: (row) => <Visible text={row.requester.account} /> },
              { label: "Status", cell: (row) => <RequestTag status={row.status} /> },
              { label: "Asked", cell: (row) => <When at={row.submittedAt} /> },
            ]}
          />
        )}
      </Card>
      <Dialog open={asking === "move"} onClose={close} title="Move to another group">
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void move.run({ input: { endpointId: endpoint.id, deploymentGroupId: group } }).then((done) => done && close());
          }}
        >
          <NativeSelect label="Group" value={group} onChange={(event) => setGroup(event.currentTarget.value)} data={data.deploymentGroups.map((each) => ({ value: each.id, label: each.name }))} />
          <p className="soft small">The agent gets the other group's snapshot at its next contact.</p>
          <ProblemNote problem={move.problem} />
          <div className="row row--end">
            <Button type="submit" loading={move.running} disabled={group === endpoint.deploymentGroup.id}>
              Move
            </Button>
          </div>
        </form>
      </Dialog>
      <Confirm
        open={asking === "remove"}
        onClose={close}
        title="Remove this endpoint?"
        action="Remove"
        dangerous
        reason={{ label: "Reason", required: false }}
        running={remove.running}
        problem={remove.problem}
        onConfirm={(reason) => void remove.run({ input: { endpointId: endpoint.id, reason: reason || null } }).then((done) => done && close())}
      >
        Its agent is refused from now on; open requests are cancelled and grants revoked. Registering again makes a new endpoint.
      </Confirm>
    </Page>
  );
}
