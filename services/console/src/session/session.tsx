import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Provider as GraphqlProvider } from "urql";
import { createClient } from "../graphql/client";
import { currentSession, type Session, signOut as signOutDoor } from "./doors";

type State =
  | { kind: "looking" }
  | { kind: "unreachable"; message: string }
  | { kind: "out" }
  | { kind: "in"; session: Session };

export interface SessionValue {
  state: State;
  /** Looks at the server again, after signing in or a failure. */
  renew: () => Promise<void>;
  signOut: () => Promise<void>;
}

/** Tells the other tabs of this browser that the session began or ended; each then asks the server. */
const tabs = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("portcullis.session");

export function tellOtherTabs(): void {
  tabs?.postMessage("changed");
}

const Context = createContext<SessionValue | undefined>(undefined);

export function useSession(): SessionValue {
  const value = useContext(Context);
  if (!value) throw new Error("useSession outside of SessionProvider");
  return value;
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<State>({ kind: "looking" });
  const renew = useCallback(async () => {
    try {
      const session = await currentSession();
      setState((old) => {
        if (!session) return { kind: "out" };
        return old.kind === "in" && old.session.csrfToken === session.csrfToken ? old : { kind: "in", session };
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : "The server gave no answer.";
      // A server that is away for a moment takes no page, and nothing typed into it, off the screen.
      setState((old) => (old.kind === "in" ? old : { kind: "unreachable", message }));
    }
  }, []);
  useEffect(() => void renew(), [renew]);
  useEffect(() => {
    const changed = () => void renew();
    tabs?.addEventListener("message", changed);
    return () => tabs?.removeEventListener("message", changed);
  }, [renew]);
  const signOut = useCallback(async () => {
    if (state.kind !== "in") return;
    // Whatever the answer, the page forgets the session; the next look at the server tells the truth.
    await signOutDoor(state.session).catch(() => undefined);
    setState({ kind: "out" });
    await renew();
    tellOtherTabs();
  }, [state, renew]);
  const value = useMemo(() => ({ state, renew, signOut }), [state, renew, signOut]);
  return <Context value={value}>{children}</Context>;
}

/** Gives the pages below a GraphQL client that belongs to this session alone. */
export function SessionClient({ session, onSignedOut, children }: { session: Session; onSignedOut: () => void; children: ReactNode }) {
  const [made, setMade] = useState<ReturnType<typeof createClient>>();
  useEffect(() => {
    const next = createClient({ csrfToken: () => session.csrfToken, onSignedOut });
    setMade(next);
    return next.close;
  }, [session, onSignedOut]);
  return made ? <GraphqlProvider value={made.client}>{children}</GraphqlProvider> : null;
}
