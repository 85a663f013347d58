import { useCallback } from "react";
import { useParams } from "react-router";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { RequestPageQuery } from "../../gql/graphql";
import { useLive, useLook } from "../../graphql/hooks";
import { Copy } from "../../parts/copy";
import { Card, Facts, Page } from "../../parts/page";
import { Missing, Note, Ready } from "../../parts/states";
import { Controls, RequestTag, Risk, spell, Tag } from "../../parts/tags";
import { duration, When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { ReadersLink } from "../../shell/viewer";
import { Course } from "./course";
import { Decide } from "./decide";
import { GrantCard } from "./grant";
import { ManageRequest } from "./manage";
import { subject } from "./queue";
import { Why } from "./why";

const RequestLook = graphql(`
  query RequestPage($id: ID!) {
    request(id: $id) {
      id
      status
      digest
      justification
      riskLevel
      submittedAt
      decidedAt
      occurrences
      quorum
      controls
      steps
      cancelReason
      position
      viewerCanDecide
      viewerRefusal
      viewerCanEscalate
      viewerCanExpire
      viewerCanCancel
      requester { account linked user { id name email } }
      endpoint { id name status }
      action {
        type userName userGroups machineName os commandLine file cwd at offsetMinutes
        application { path sha256 publisher certificate }
      }
      policies { id name revision controls status policy { id revision status } }
      flags { code message }
      approvalRule { id name }
      deadlines { pendingUntil escalatedUntil current grantMinutes grantUses }
      eligibleApprovers { as user { id name email } }
      decisions { verdict as at comment authentication ownRequest grantMinutes grantUses by { kind id name } }
      escalation { at reason by { kind name } }
      grant { id status notBefore expiresAt uses used overused mfaOutstanding revokedAt revokeReason revokedBy { kind name } }
      previousRequest { id status submittedAt }
    }
  }
`);

const RequestChanged = graphql(`
  subscription RequestChanged {
    requestQueueChanged { position requestId }
  }
`);

export type RequestView = NonNullable<RequestPageQuery["request"]>;

export function RequestPage() {
  const id = useParams().id ?? "";
  const look = useLook(RequestLook, { id });
  const { reload } = look;
  useLive(
    RequestChanged,
    useCallback(
      (data) => {
        if (!data || data.requestQueueChanged.requestId === id) reload();
      },
      [reload, id],
    ),
  );
  return (
    <Ready look={look} lines={9}>
      {(data) => (data.request ? <RequestBody request={data.request} reload={reload} /> : <Missing what="request" />)}
    </Ready>
  );
}

function RequestBody({ request, reload }: { request: RequestView; reload: () => void }) {
  const { action } = request;
  const open = request.status === "PENDING" || request.status === "ESCALATED";
  return (
    <Page
      title="Request"
      heading={<Visible text={subject(action)} />}
      trail={{ to: "/requests", label: "Requests" }}
      about={
        <span className="row apart">
          <RequestTag status={request.status} />
          <span>{spell(action.type)}</span>
          <span>
            asked <When at={request.submittedAt} />
          </span>
          {open && request.deadlines.current && (
            <span>
              {request.status === "PENDING" ? "due" : "expires"} <When at={request.deadlines.current} />
            </span>
          )}
          <Risk level={request.riskLevel} />
        </span>
      }
      actions={<ManageRequest request={request} />}
    >
      {request.flags.length > 0 && (
        <Note tone="warn" title="Look closely">
          <ul>
            {request.flags.map((flag) => (
              <li key={flag.code}>{flag.message}</li>
            ))}
          </ul>
        </Note>
      )}
      <div className="columns columns--aside">
        <div className="stack">
          <Card title="Justification">
            <Visible text={request.justification} prose />
          </Card>
          <Card title="The whole action">
            <Facts
              items={[
                ["Account", <Visible key="u" text={action.userName} />],
                ["Person", <PersonOf key="p" requester={request.requester} />],
                [
                  "Groups",
                  action.userGroups.length > 0 && (
                    <span className="chips">
                      {action.userGroups.map((group) => (
                        <span className="chip" key={group}>
                          <Visible text={group} />
                        </span>
                      ))}
                    </span>
                  ),
                ],
                [
                  "Machine",
                  <span key="m">
                    {request.endpoint ? (
                      <ReadersLink to={`/endpoints/${request.endpoint.id}`}>
                        <Visible text={action.machineName} />
                      </ReadersLink>
                    ) : (
                      <Visible text={action.machineName} />
                    )}{" "}
                    <span className="soft">{spell(action.os)}</span>
                  </span>,
                ],
                ["Program", <Visible key="a" text={action.application.path} />],
                ["Command line", action.commandLine != null && <Visible key="c" text={action.commandLine} />],
                ["File", action.file != null && <Visible key="f" text={action.file} />],
                ["Directory", action.cwd != null && <Visible key="d" text={action.cwd} />],
                ["SHA-256", action.application.sha256 ? <Visible key="h" text={action.application.sha256} /> : <span className="soft">Not reported</span>],
                ["Publisher", action.application.publisher ? <Visible key="pub" text={action.application.publisher} /> : <span className="soft">Not signed, or not reported</span>],
                ["Certificate", action.application.certificate != null && <Visible key="cert" text={action.application.certificate} />],
                ["Attempted", <When key="at" at={action.at} plain />],
                ["Asked", request.occurrences > 1 && `${request.occurrences} times while open`],
                [
                  "Earlier request",
                  request.previousRequest && (
                    <Link to={`/requests/${request.previousRequest.id}`}>
                      {spell(request.previousRequest.status)}, <When at={request.previousRequest.submittedAt} />
                    </Link>
                  ),
                ],
              ]}
            />
          </Card>
          <Card title="Policies that asked">
            {request.policies.length === 0 ? (
              <p className="soft">No policy: the organisation's baseline for this type of action asks.</p>
            ) : (
              <ul className="plain-list stack">
                {request.policies.map((cited) => (
                  <li key={cited.id} className="stack stack--tight">
                    <span className="row">
                      {cited.policy ? (
                        <ReadersLink className="strong" to={`/policies/${cited.id}`}>
                          {cited.name}
                        </ReadersLink>
                      ) : (
                        <span className="strong">{cited.name}</span>
                      )}
                      <span className="soft">revision {cited.revision}</span>
                      {!cited.policy && <Tag tone="warn">Deleted since</Tag>}
                      {cited.policy && cited.policy.revision !== cited.revision && (
                        <Tag tone="warn">Now at revision {cited.policy.revision}</Tag>
                      )}
                    </span>
                    <Controls controls={cited.controls} />
                  </li>
                ))}
              </ul>
            )}
          </Card>
          <Why requestId={request.id} />
        </div>
        <div className="stack">
          <Decide request={request} reload={reload} />
          {request.grant && <GrantCard request={request} grant={request.grant} />}
          <Card title="What happened">
            <Course request={request} />
          </Card>
          {open && (
            <Card title="Who may decide">
              <div className="stack stack--tight">
                <p className="soft small">
                  {request.quorum > 1 ? `${request.quorum} different people must approve.` : "One approval is enough."} One denial denies.
                  {request.approvalRule && <> Routed by “{request.approvalRule.name}”.</>}
                </p>
                <ul className="plain-list stack stack--tight">
                  {request.eligibleApprovers.map((approver) => (
                    <li key={approver.user.id} className="row row--between">
                      <span>{approver.user.name ?? approver.user.email ?? approver.user.id}</span>
                      <Tag outline>{spell(approver.as)}</Tag>
                    </li>
                  ))}
                </ul>
              </div>
            </Card>
          )}
          <Card title="Terms">
            <Facts
              items={[
                ["Escalates or expires", <When key="p" at={request.deadlines.pendingUntil} plain />],
                ["After escalation", request.deadlines.escalatedUntil && <When key="e" at={request.deadlines.escalatedUntil} plain />],
                ["Grant lasts", duration(request.deadlines.grantMinutes)],
                ["Uses", request.deadlines.grantUses ?? "Unlimited"],
                ["Steps", request.steps.map(spell).join(", then ")],
              ]}
            />
          </Card>
          <Card title="Digest of the action" actions={<Copy text={request.digest} />}>
            <div className="stack stack--tight">
              <span className="mono">{request.digest}</span>
              <span className="soft small">A decision made here is bound to this SHA-256.</span>
            </div>
          </Card>
        </div>
      </div>
    </Page>
  );
}

function PersonOf({ requester }: { requester: RequestView["requester"] }) {
  if (!requester.linked) return <Tag tone="warn">This account is not linked to a person</Tag>;
  return requester.user ? <>{requester.user.name ?? requester.user.email}</> : <span className="soft">Known, without a user account</span>;
}
