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
      setState(session ? { kind: "in", session } : { kind: "out" });
    } catch (error) {
      setState({ kind: "unreachable", message: error instanceof Error ? error.message : "The server gave no answer." });
    }
  }, []);
  useEffect(() => void renew(), [renew]);
  const signOut = useCallback(async () => {
    if (state.kind !== "in") return;
    // Whatever the answer, the page forgets the session; the next look at the server tells the truth.
    await signOutDoor(state.session).catch(() => undefined);
    setState({ kind: "out" });
    await renew();
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
