import { createClient as createSocket } from "graphql-ws";
import { Client, cacheExchange, fetchExchange, makeOperation, mapExchange, subscriptionExchange } from "urql";
import { setLine } from "./line";
import { problemOf } from "./problem";

export interface ClientOptions {
  /** The session's CSRF token, read at every call so that a renewed one is used. */
  csrfToken: () => string;
  /** The server no longer knows the session. */
  onSignedOut: () => void;
}

/** Whether the server closed the socket because its session is over. */
const ended = (event: unknown) => (event as { code?: unknown } | null)?.code === 4401;

/** The client of one session. A new session gets a new one, so that nothing cached crosses over. */
export function createClient({ csrfToken, onSignedOut }: ClientOptions): { client: Client; close: () => void } {
  const address = new URL("/graphql/ws", window.location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = createSocket({
    url: address.href,
    lazy: true,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: (event) => !ended(event),
    connectionParams: () => ({ csrfToken: csrfToken() }),
    on: {
      connected: () => setLine("live"),
      closed: (event) => {
        setLine("asking");
        if (ended(event)) onSignedOut();
      },
    },
  });
  const client = new Client({
    url: "/graphql",
    preferGetMethod: false,
    fetchOptions: () => ({ credentials: "same-origin", headers: { "x-csrf-token": csrfToken() } }),
    exchanges: [
      mapExchange({
        onOperation(operation) {
          const key: unknown = (operation.context as { idempotencyKey?: unknown }).idempotencyKey;
          if (operation.kind !== "mutation" || typeof key !== "string") return;
          const headers = { "x-csrf-token": csrfToken(), "idempotency-key": key };
          return makeOperation(operation.kind, operation, {
            ...operation.context,
            fetchOptions: { credentials: "same-origin", headers },
          });
        },
        onResult(result) {
          // An answer in part is none: pages count on every field that the schema promises.
          return result.error && result.data ? { ...result, data: undefined } : result;
        },
        onError(error) {
          if (problemOf(error).code === "UNAUTHENTICATED") onSignedOut();
        },
      }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (operation) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: operation.query ?? "", variables: operation.variables }, sink),
          }),
        }),
      }),
    ],
  });
  return {
    client,
    close: () => {
      void socket.dispose();
      setLine("asking");
    },
  };
}
