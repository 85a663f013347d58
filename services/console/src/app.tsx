import { Button, MantineProvider } from "@mantine/core";
import { lazy, type ReactNode } from "react";
import { Link, Navigate, Outlet, Route, Routes, useLocation } from "react-router";
import { Page } from "./parts/page";
import { Bones, Empty, Forbidden } from "./parts/states";
import { Toasts } from "./parts/toasts";
import { DoorFrame } from "./session/door-frame";
import { AskPasswordReset, ChoosePassword } from "./session/passwords";
import { SessionClient, SessionProvider, useSession } from "./session/session";
import { SignIn } from "./session/sign-in";
import { Shell } from "./shell/shell";
import { type Ability, can, useViewer } from "./shell/viewer";
import { theme } from "./theme";

const page = <Name extends string>(load: () => Promise<Record<Name, () => ReactNode>>, name: Name) =>
  lazy(async () => ({ default: (await load())[name] }));

const Overview = page(() => import("./pages/overview/overview"), "Overview");
const RequestQueue = page(() => import("./pages/requests/queue"), "RequestQueue");
const RequestPage = page(() => import("./pages/requests/request"), "RequestPage");
const Policies = page(() => import("./pages/policies/list"), "Policies");
const NewPolicy = page(() => import("./pages/policies/new"), "NewPolicy");
const ImportPolicies = page(() => import("./pages/policies/import"), "ImportPolicies");
const PolicyPage = page(() => import("./pages/policies/policy"), "PolicyPage");
const Collections = page(() => import("./pages/collections/collections"), "Collections");
const ApprovalRules = page(() => import("./pages/approval-rules/approval-rules"), "ApprovalRules");
const Users = page(() => import("./pages/people/users"), "Users");
const Teams = page(() => import("./pages/people/teams"), "Teams");
const ServiceAccounts = page(() => import("./pages/people/service-accounts"), "ServiceAccounts");
const Endpoints = page(() => import("./pages/endpoints/endpoints"), "Endpoints");
const EndpointPage = page(() => import("./pages/endpoints/endpoint"), "EndpointPage");
const Groups = page(() => import("./pages/endpoints/groups"), "Groups");
const Audit = page(() => import("./pages/audit/audit"), "Audit");
const SettingsPage = page(() => import("./pages/settings/settings"), "SettingsPage");
const IdentityProviders = page(() => import("./pages/settings/identity-providers"), "IdentityProviders");
const Provisioning = page(() => import("./pages/settings/provisioning"), "Provisioning");
const Account = page(() => import("./pages/account/account"), "Account");

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <Toasts>
        <SessionProvider>
          <Routes>
            <Route path="/sign-in" element={<SignIn />} />
            <Route path="/password-reset" element={<AskPasswordReset />} />
            <Route path="/password-reset/:token" element={<ChoosePassword kind="reset" />} />
            <Route path="/invitation/:token" element={<ChoosePassword kind="invitation" />} />
            <Route path="*" element={<SignedIn />} />
          </Routes>
        </SessionProvider>
      </Toasts>
    </MantineProvider>
  );
}

function SignedIn() {
  const { state, renew } = useSession();
  const location = useLocation();
  switch (state.kind) {
    case "looking":
      return <Bones lines={8} />;
    case "unreachable":
      return (
        <DoorFrame title="No connection" about={state.message}>
          <Button fullWidth onClick={() => void renew()}>
            Try again
          </Button>
        </DoorFrame>
      );
    case "out": {
      const here = location.pathname + location.search;
      return <Navigate to={here === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(here)}`} replace />;
    }
    case "in":
      return (
        <SessionClient key={state.session.csrfToken} session={state.session} onSignedOut={renew}>
          <Pages />
        </SessionClient>
      );
  }
}

function Pages() {
  return (
    <Routes>
      <Route element={<Shell />}>
        <Route index element={<Home />} />
        <Route path="requests" element={<RequestQueue />} />
        <Route path="requests/:id" element={<RequestPage />} />
        <Route path="account" element={<Account />} />
        <Route element={<Only ability="administer" />}>
          <Route path="policies/new" element={<NewPolicy />} />
          <Route path="policies/import" element={<ImportPolicies />} />
        </Route>
        <Route element={<Only ability="read-all" />}>
          <Route path="policies" element={<Policies />} />
          <Route path="policies/:id/*" element={<PolicyPage />} />
          <Route path="collections" element={<Collections />} />
          <Route path="approval-rules" element={<ApprovalRules />} />
          <Route path="people" element={<Users />} />
          <Route path="people/teams" element={<Teams />} />
          <Route path="people/service-accounts" element={<ServiceAccounts />} />
          <Route path="endpoints" element={<Endpoints />} />
          <Route path="endpoints/groups" element={<Groups />} />
          <Route path="endpoints/:id" element={<EndpointPage />} />
          <Route path="audit" element={<Audit />} />
          <Route path="settings" element={<SettingsPage />} />
          <Route path="settings/identity-providers" element={<IdentityProviders />} />
          <Route path="settings/provisioning" element={<Provisioning />} />
        </Route>
        <Route
          path="*"
          element={
            <Page title="There is no such page">
              <div className="card">
                <Empty title="Nothing is kept at this address" action={<Link to="/">Go to the start</Link>}>
                  It may be old, or mistyped.
                </Empty>
              </div>
            </Page>
          }
        />
      </Route>
    </Routes>
  );
}

/** Pages of the roles that may open them; to others they say so instead of showing forms that the server refuses. */
function Only({ ability }: { ability: Ability }) {
  if (can(useViewer(), ability)) return <Outlet />;
  return (
    <Page title="Not for your roles">
      <div className="card">
        <Forbidden />
      </div>
    </Page>
  );
}

/** The overview is for those who may read everything; others start at their requests. */
function Home() {
  return can(useViewer(), "read-all") ? <Overview /> : <Navigate to="/requests" replace />;
}
