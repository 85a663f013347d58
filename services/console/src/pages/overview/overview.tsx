import { Link } from "react-router";
import { graphql } from "../../gql";
import type { OverviewQuery } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { Card, Page } from "../../parts/page";
import { Empty, Ready } from "../../parts/states";
import { count, dayText, When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";

const OverviewLook = graphql(`
  query Overview {
    overview {
      pendingRequests escalatedRequests awaitingViewer activeGrants decisionsToday medianDecisionSeconds
      endpointsOnline endpointsTotal endpointsBehind policiesEnforced policiesMonitored
      daily { day allowed denied required }
      alerts { code message at subjectId }
    }
  }
`);

type Figures = OverviewQuery["overview"];

/** Where the object behind an id is shown; undefined for kinds without a page of their own. */
export function addressOf(id: string): string | undefined {
  const kind = id.slice(0, id.indexOf("_"));
  const pages: Record<string, string> = {
    req: `/requests/${id}`,
    pol: `/policies/${id}`,
    end: `/endpoints/${id}`,
    dgr: "/endpoints/groups",
    col: "/collections",
    usr: "/people",
    tem: "/people/teams",
    svc: "/people/service-accounts",
    rul: "/approval-rules",
  };
  return pages[kind];
}

export function Overview() {
  const viewer = useViewer();
  const look = useLook(OverviewLook, {}, { names: ["Request", "Policy", "Endpoint"] });
  return (
    <Page title="Overview" about={`How ${viewer.tenant.name} stands right now.`}>
      <Ready look={look} lines={9}>
        {({ overview }) => (
          <div className="stack">
            <div className="figures">
              <Figure to="/requests?mine=decide" value={count(overview.awaitingViewer)} label="Waiting for you" note="Yours to decide" tone={overview.awaitingViewer > 0 ? "warn" : ""} />
              <Figure
                to="/requests"
                value={count(overview.pendingRequests + overview.escalatedRequests)}
                label="Open requests"
                note={overview.escalatedRequests > 0 ? `${overview.escalatedRequests} escalated` : "None escalated"}
              />
              <Figure value={count(overview.activeGrants)} label="Active grants" note="Usable now" />
              <Figure value={count(overview.decisionsToday)} label="Decisions today" note={median(overview.medianDecisionSeconds)} />
              <Figure to="/endpoints" value={`${count(overview.endpointsOnline)} / ${count(overview.endpointsTotal)}`} label="Endpoints online" note="Seen lately, of all registered" />
              <Figure to="/endpoints?behind=1" value={count(overview.endpointsBehind)} label="Endpoints behind" note="Not on the newest snapshot" tone={overview.endpointsBehind > 0 ? "warn" : ""} />
              <Figure to="/policies?status=ENFORCE" value={count(overview.policiesEnforced)} label="Policies enforced" note="Agents act by them" />
              <Figure to="/policies" value={count(overview.policiesMonitored)} label="Policies monitored" note="Recorded, not enforced" />
            </div>
            {can(viewer, "administer") && overview.endpointsTotal === 0 && <FirstSteps />}
            <div className="columns columns--half">
              <Card title="Actions of the last 14 days">
                <Daily days={overview.daily} />
              </Card>
              <Card title="To look at" flush>
                {overview.alerts.length === 0 ? (
                  <Empty title="Nothing needs attention">Held snapshots and what the log marks for a second look appear here.</Empty>
                ) : (
                  <ul className="plain-list alerts">
                    {overview.alerts.map((alert, index) => (
                      <li key={index} className="alerts__item">
                        <span className="dot dot--warn" />
                        <span className="grow">
                          <Alert message={alert.message} to={alert.subjectId ? addressOf(alert.subjectId) : undefined} />
                        </span>
                        <span className="soft small">
                          <When at={alert.at} />
                        </span>
                      </li>
                    ))}
                  </ul>
                )}
              </Card>
            </div>
          </div>
        )}
      </Ready>
    </Page>
  );
}

/** The message may hold a path or a name of a stranger's. */
function Alert({ message, to }: { message: string; to: string | undefined }) {
  const text = <Visible text={message} prose />;
  return to ? <Link to={to}>{text}</Link> : text;
}

/** What an organisation begins with, until a machine has registered. */
function FirstSteps() {
  return (
    <Card title="First steps">
      <ol className="steps">
        <li>
          <Link to="/people">Invite the people</Link> who will decide, and those who look after policies.
        </li>
        <li>
          <Link to="/approval-rules">Say who is asked</Link> about which requests.
        </li>
        <li>
          <Link to="/policies/new">Write a policy</Link>; with the status monitor it changes nothing yet.
        </li>
        <li>
          <Link to="/endpoints/groups">Make a deployment group</Link> and register machines with its package.
        </li>
      </ol>
    </Card>
  );
}

function median(seconds: number | null | undefined): string {
  if (seconds == null) return "None decided lately";
  if (seconds < 1) return "Under 1 s in the median";
  return seconds < 60 ? `${seconds} s in the median` : `${Math.round(seconds / 60)} min in the median`;
}

function Figure({ to, value, label, note, tone = "" }: { to?: string; value: string; label: string; note?: string; tone?: string }) {
  const inside = (
    <>
      <span className="figure__label">{label}</span>
      <span className="figure__value">{value}</span>
      {note && <span className="figure__note">{note}</span>}
    </>
  );
  const name = `card figure ${tone ? `figure--${tone}` : ""}`;
  return to ? (
    <Link to={to} className={name}>
      {inside}
    </Link>
  ) : (
    <div className={name}>{inside}</div>
  );
}

function Daily({ days }: { days: Figures["daily"] }) {
  const last = days.at(-1);
  const most = Math.max(1, ...days.map((day) => day.allowed + day.denied + day.required));
  const sum = (part: "allowed" | "denied" | "required") => days.reduce((total, day) => total + day[part], 0);
  if (days.every((day) => day.allowed + day.denied + day.required === 0)) {
    return <Empty title="No recorded actions yet">Agents send what they decided with their next contact.</Empty>;
  }
  return (
    <div className="stack">
      <div className="bars" role="img" aria-label={`${count(sum("allowed"))} allowed, ${count(sum("required"))} asked, ${count(sum("denied"))} denied in the last 14 days`}>
        {days.map((day) => (
          <div key={day.day} className="bars__day" title={`${dayText(day.day)}: ${day.allowed} allowed, ${day.required} asked, ${day.denied} denied`}>
            {(["allowed", "required", "denied"] as const).map((part) => (
              <span key={part} className={`bars__part bars__part--${part}`} style={{ height: `${(day[part] / most) * 100}%` }} />
            ))}
          </div>
        ))}
      </div>
      <div className="row row--between small soft">
        <span>{days[0] && dayText(days[0].day)}</span>
        <span>{last && dayText(last.day)} (days in UTC)</span>
      </div>
      <div className="legend">
        <span>
          <span className="dot dot--good" />
          Allowed {count(sum("allowed"))}
        </span>
        <span>
          <span className="dot dot--info" />
          Asked {count(sum("required"))}
        </span>
        <span>
          <span className="dot dot--bad" />
          Denied {count(sum("denied"))}
        </span>
      </div>
    </div>
  );
}
