import { Button } from "@mantine/core";
import { Link, Route, Routes, useParams } from "react-router";
import { graphql } from "../../gql";
import type { PolicyPageQuery } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { Card, Facts, Page, Tabs } from "../../parts/page";
import { Missing, Note, Ready } from "../../parts/states";
import { ActorName, Controls, PolicyTag, Risk, spell, Tag } from "../../parts/tags";
import { duration, When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { lists, readDocument } from "./document";
import { EditPolicy } from "./edit";
import { Warnings } from "./editor";
import { PolicyActions } from "./manage";
import { Revisions } from "./revisions";
import { TryAction } from "./try-action";

const PolicyLook = graphql(`
  query PolicyPage($id: ID!) {
    policy(id: $id) {
      id name type status controls exception riskLevel document revision createdAt updatedAt deletedAt
      updatedBy { kind id name }
      warnings { code level message field other { id name } }
      stagedRevision { number document comment at author { kind name } stagedTo { id name } }
    }
  }
`);

export type PolicyView = NonNullable<PolicyPageQuery["policy"]>;

export function PolicyPage() {
  const id = useParams().id ?? "";
  const look = useLook(PolicyLook, { id });
  return (
    <Ready look={look} lines={9}>
      {(data) => (data.policy ? <PolicyFrame policy={data.policy} /> : <Missing what="policy" />)}
    </Ready>
  );
}

function PolicyFrame({ policy }: { policy: PolicyView }) {
  const base = `/policies/${policy.id}`;
  const changes = can(useViewer(), "administer") && !policy.deletedAt;
  return (
    <Page
      title={policy.name}
      trail={{ to: "/policies", label: "Policies" }}
      about={
        <span className="row apart">
          <PolicyTag status={policy.status} />
          <span>{spell(policy.type)}</span>
          <span>revision {policy.revision}</span>
          {policy.exception && <Tag tone="warn">Exception</Tag>}
          {policy.deletedAt && <Tag tone="bad">Deleted</Tag>}
        </span>
      }
      actions={changes && <PolicyActions policy={policy} />}
    >
      <Tabs
        label="Parts of the policy"
        tabs={[
          { to: base, label: "What it says" },
          ...(changes ? [{ to: `${base}/edit`, label: "Edit" }] : []),
          { to: `${base}/revisions`, label: "Revisions" },
          { to: `${base}/try`, label: "Try an action" },
        ]}
      />
      <Routes>
        <Route index element={<Summary policy={policy} />} />
        {changes && <Route path="edit" element={<EditPolicy key={policy.revision} policy={policy} />} />}
        <Route path="revisions" element={<Revisions policy={policy} />} />
        <Route path="try" element={<TryAction policy={policy} />} />
        <Route path="*" element={<Missing what="part of the policy" />} />
      </Routes>
    </Page>
  );
}

function Summary({ policy }: { policy: PolicyView }) {
  const document = readDocument(policy.document);
  const entries = (list: string[]) => (
    <span className="chips">
      {list.map((entry) => (
        <span className="chip" key={entry}>
          <Visible text={entry} />
        </span>
      ))}
    </span>
  );
  const ranges = (list: { from: string; to: string }[]) => list.map((range) => `${range.from} to ${range.to}`).join(", ");
  return (
    <div className="columns columns--aside">
      <Card title="What it says">
        <Facts
          items={[
            ["Demands", policy.type !== "LEAST_PRIVILEGE" && <Controls key="c" controls={policy.controls} />],
            ["Users", document.users.length > 0 && entries(document.users)],
            ["Machines", entries(document.machines)],
            ...lists[document.type]
              .filter((field) => field !== "users")
              .map((field): [string, React.ReactNode] => [
                field === "keepAdmins" ? "Stay administrators" : spell(field),
                document[field].length > 0 ? entries(document[field]) : field === "applications" ? "Any" : "None",
              ]),
            ["Certificates", document.certificates.length > 0 && entries(document.certificates)],
            ["Dates", document.dates.length > 0 && ranges(document.dates)],
            ["Hours", document.times.length > 0 && ranges(document.times)],
            ["Days", document.days.length > 0 && document.days.map(spell).join(", ")],
            ["Risk", policy.type !== "LEAST_PRIVILEGE" && <Risk key="r" level={policy.riskLevel} />],
            ["Access lasts", policy.type !== "LEAST_PRIVILEGE" && duration(document.accessMinutes)],
            ["One-time code", document.controls.includes("mfa") && (document.mfaAlways ? "Asked every time" : "Once in five minutes")],
            ["Message", document.notification?.message || null],
          ]}
        />
      </Card>
      <div className="stack">
        {policy.stagedRevision && (
          <Note tone="info" title={`Revision ${policy.stagedRevision.number} is staged`}>
            <p>
              It goes to {policy.stagedRevision.stagedTo.map((group) => group.name).join(", ") || "no group"} first; all others keep revision {policy.revision}.
            </p>
            <Link to={`/policies/${policy.id}/revisions`}>Compare, promote or withdraw</Link>
          </Note>
        )}
        <Warnings warnings={policy.warnings} />
        <Card title="History">
          <Facts
            items={[
              ["Created", <When key="c" at={policy.createdAt} plain />],
              ["Changed", <When key="u" at={policy.updatedAt} />],
              ["By", <ActorName key="b" actor={policy.updatedBy} />],
              ["Deleted", policy.deletedAt && <When key="d" at={policy.deletedAt} plain />],
            ]}
          />
        </Card>
        <Button component={Link} variant="default" to={`/audit?subject=${policy.id}`}>
          Its audit trail
        </Button>
      </div>
    </div>
  );
}
