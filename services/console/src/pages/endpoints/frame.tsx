import type { ReactNode } from "react";
import { Page, Tabs } from "../../parts/page";

export function FleetFrame({ title, about, actions, children }: { title: string; about: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs
        label="Fleet"
        tabs={[
          { to: "/endpoints", label: "Endpoints" },
          { to: "/endpoints/groups", label: "Deployment groups" },
        ]}
      />
      {children}
    </Page>
  );
}
