import { createContext, type ReactNode, useContext } from "react";
import { Link } from "react-router";
import { graphql } from "../gql";
import type { Role, ViewerQuery } from "../gql/graphql";

export const ViewerLook = graphql(`
  query Viewer {
    viewer {
      principal { kind id name }
      user { id email name totpEnrolled }
      tenant { id slug name suspended }
      roles
      position
    }
  }
`);

export type Viewer = ViewerQuery["viewer"];

export const ViewerContext = createContext<Viewer | undefined>(undefined);

export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (!viewer) throw new Error("useViewer outside of the shell");
  return viewer;
}

/** What a page needs; the server decides, this only keeps dead ends off the screen (docs/domain.md § 6). */
export type Ability = "read-all" | "administer" | "decide";

const abilities: Record<Ability, readonly Role[]> = {
  "read-all": ["OWNER", "ADMIN", "AUDITOR"],
  administer: ["OWNER", "ADMIN"],
  decide: ["OWNER", "ADMIN", "APPROVER"],
};

export function can(viewer: { roles: readonly Role[] }, ability: Ability): boolean {
  return viewer.roles.some((role) => abilities[ability].includes(role));
}

/** A link to what not everybody may open; to others it is the words alone. */
export function ReadersLink({ to, className, children }: { to: string; className?: string; children: ReactNode }) {
  if (can(useViewer(), "read-all")) {
    return (
      <Link to={to} className={className}>
        {children}
      </Link>
    );
  }
  return <span className={className}>{children}</span>;
}
