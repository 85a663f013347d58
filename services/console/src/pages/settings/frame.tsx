import type { ReactNode } from "react";
import { Page, Tabs } from "../../parts/page";

/** The frame of what holds for the whole organisation. */
export function SettingsFrame({ title, about, actions, children }: { title: string; about: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs
        label="Settings"
        tabs={[
          { to: "/settings", label: "Organisation" },
          { to: "/settings/identity-providers", label: "Identity providers" },
          { to: "/settings/provisioning", label: "Provisioning" },
        ]}
      />
      {children}
    </Page>
  );
}
