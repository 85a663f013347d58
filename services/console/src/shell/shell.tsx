import { Button, useMantineColorScheme } from "@mantine/core";
import { Suspense, useCallback, useEffect, useRef, useState } from "react";
import { Link, NavLink, Outlet, useLocation } from "react-router";
import { graphql } from "../gql";
import { useLive, useLook } from "../graphql/hooks";
import { Boundary } from "../parts/boundary";
import { Bones, Note } from "../parts/states";
import { DoorFrame } from "../session/door-frame";
import { useSession } from "../session/session";
import { Icon, type IconName } from "./icons";
import { Logo } from "./logo";
import { type Ability, can, type Viewer, ViewerContext, ViewerLook } from "./viewer";

const AwaitingLook = graphql(`
  query Awaiting {
    requests(filter: { decidableByViewer: true, statuses: [PENDING, ESCALATED] }, first: 50) {
      nodes { id }
      pageInfo { hasNextPage }
    }
  }
`);

const QueueRang = graphql(`
  subscription QueueRang {
    requestQueueChanged { position requestId }
  }
`);

const links: { to: string; label: string; icon: IconName; needs?: Ability }[] = [
  { to: "/", label: "Overview", icon: "overview", needs: "read-all" },
  { to: "/requests", label: "Requests", icon: "requests" },
  { to: "/policies", label: "Policies", icon: "policies", needs: "read-all" },
  { to: "/collections", label: "Collections", icon: "collections", needs: "read-all" },
  { to: "/approval-rules", label: "Approval rules", icon: "rules", needs: "read-all" },
  { to: "/people", label: "People", icon: "people", needs: "read-all" },
  { to: "/endpoints", label: "Endpoints", icon: "endpoints", needs: "read-all" },
  { to: "/audit", label: "Audit trail", icon: "audit", needs: "read-all" },
  { to: "/settings", label: "Settings", icon: "settings", needs: "read-all" },
];

/** Everything behind the sign-in: who looks, the rail, the page. */
export function Shell() {
  const look = useLook(ViewerLook, {});
  if (look.problem) {
    return (
      <DoorFrame title="The console could not be loaded" about={look.problem.message}>
        <Button fullWidth onClick={look.reload}>
          Try again
        </Button>
      </DoorFrame>
    );
  }
  if (!look.data) return <Bones lines={8} />;
  return (
    <ViewerContext value={look.data.viewer}>
      <Frame viewer={look.data.viewer} />
    </ViewerContext>
  );
}

function Frame({ viewer }: { viewer: Viewer }) {
  const [open, setOpen] = useState(false);
  const { pathname } = useLocation();
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    setOpen(false);
    window.scrollTo(0, 0);
    // Who uses the keyboard or a screen reader goes on at the new page, not in the list of pages.
    document.getElementById("content")?.focus({ preventScroll: true });
  }, [pathname]);
  return (
    <div className={open ? "shell shell--open" : "shell"} onKeyDown={(event) => event.key === "Escape" && setOpen(false)}>
      <a className="skip" href="#content">
        Skip to the page
      </a>
      <header className="topbar">
        <Logo />
        <Link to="/" className="topbar__name">
          Portcullis
        </Link>
        <button type="button" className="topbar__button" aria-expanded={open} aria-controls="rail" onClick={() => setOpen(!open)}>
          {open ? "Close" : "Menu"}
        </button>
      </header>
      <Rail viewer={viewer} />
      <main className="main" id="content" tabIndex={-1}>
        {viewer.tenant.suspended && (
          <Note tone="warn" title="This organisation is suspended">
            Nothing can be changed or decided until the operator lifts it.
          </Note>
        )}
        <Boundary path={pathname}>
          <Suspense fallback={<Bones lines={8} />}>
            <Outlet />
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function Rail({ viewer }: { viewer: Viewer }) {
  const { signOut } = useSession();
  return (
    <div className="rail" id="rail">
      <Link to="/" className="rail__brand">
        <Logo />
        Portcullis
      </Link>
      <div className="rail__tenant">{viewer.tenant.name}</div>
      <nav className="rail__links" aria-label="Main">
        {links
          .filter((link) => !link.needs || can(viewer, link.needs))
          .map((link) => (
            <NavLink key={link.to} to={link.to} end={link.to === "/"}>
              <Icon name={link.icon} />
              {link.label}
              {link.to === "/requests" && can(viewer, "decide") && <Count />}
            </NavLink>
          ))}
      </nav>
      <div className="rail__foot">
        <Link to="/account" className="rail__who">
          {viewer.principal.name ?? viewer.user?.email ?? "Your account"}
        </Link>
        <SchemeSwitch />
        <button type="button" className="rail__quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </div>
  );
}

/** How many requests wait for the viewer. */
function Count() {
  const { data, reload } = useLook(AwaitingLook, {}, { names: ["Request"] });
  useLive(QueueRang, useCallback(() => reload(), [reload]));
  const count = data?.requests.nodes.length ?? 0;
  if (count === 0) return null;
  return (
    <span className="rail__count">
      {count}
      {data?.requests.pageInfo.hasNextPage ? "+" : ""}
      <span className="hidden-text"> waiting for you</span>
    </span>
  );
}

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const next = colorScheme === "auto" ? "light" : colorScheme === "light" ? "dark" : "auto";
  const names = { auto: "as the system", light: "light", dark: "dark" };
  return (
    <button type="button" className="rail__quiet" onClick={() => setColorScheme(next)}>
      Colours: {names[colorScheme]}
    </button>
  );
}
