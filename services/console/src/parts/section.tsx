import type { ReactNode } from "react";
import { Page, Tabs } from "./page";

/** Pages that stand side by side under one entry of the menu. */
const sections = {
  people: {
    label: "People",
    tabs: [
      { to: "/people", label: "Users" },
      { to: "/people/teams", label: "Teams" },
      { to: "/people/service-accounts", label: "Service accounts" },
    ],
  },
  fleet: {
    label: "Fleet",
    tabs: [
      { to: "/endpoints", label: "Endpoints" },
      { to: "/endpoints/groups", label: "Deployment groups" },
    ],
  },
  settings: {
    label: "Settings",
    tabs: [
      { to: "/settings", label: "Organisation" },
      { to: "/settings/identity-providers", label: "Identity providers" },
      { to: "/settings/provisioning", label: "Provisioning" },
    ],
  },
};

/** The frame of a page that has neighbours. */
export function Section({ of, title, about, actions, children }: { of: keyof typeof sections; title: string; about: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs {...sections[of]} />
      {children}
    </Page>
  );
}
