import type { ReactNode } from "react";
import { Page, Tabs } from "../../parts/page";

/** The frame that the three lists of people and programs share. */
export function PeopleFrame({ title, about, actions, children }: { title: string; about: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs
        label="People"
        tabs={[
          { to: "/people", label: "Users" },
          { to: "/people/teams", label: "Teams" },
          { to: "/people/service-accounts", label: "Service accounts" },
        ]}
      />
      {children}
    </Page>
  );
}
