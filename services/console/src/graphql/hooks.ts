import { useCallback, useEffect, useRef, useState } from "react";
import { type AnyVariables, type UseQueryArgs, useMutation, useQuery, useSubscription } from "urql";
import type { TypedDocumentString } from "../gql/graphql";
import { useToast } from "../parts/toasts";
import { useLine } from "./line";
import { type Problem, problemOf } from "./problem";

/** Between two looks at the server while no subscription is open, in milliseconds. */
const ASK_AGAIN = 12_000;

export interface Loaded<Data> {
  data: Data | undefined;
  problem: Problem | undefined;
  /** True while there is nothing to show yet. */
  loading: boolean;
  /** The answer is under way; until then `data` may still be of the question before. */
  busy: boolean;
  /** The server gave no answer just now; `data` is what it said last to the same question. */
  late: boolean;
  reload: () => void;
}

/**
 * A query for a page. `names` lists object types the answer may hold later although it holds none now, so that a
 * mutation which makes the first one refreshes an empty list.
 */
export function useLook<Data, Variables extends AnyVariables>(
  query: TypedDocumentString<Data, Variables>,
  variables: Variables,
  options: { names?: string[]; pause?: boolean } = {},
): Loaded<Data> {
  const names = options.names?.join(",");
  const [context] = useState(() => ({
    requestPolicy: "cache-and-network" as const,
    ...(names ? { additionalTypenames: names.split(",") } : {}),
  }));
  const [result, run] = useQuery<Data, Variables>({
    query: String(query),
    variables,
    context,
    pause: options.pause ?? false,
  } as UseQueryArgs<Variables, Data>);
  const reload = useCallback(() => run({ ...context, requestPolicy: "network-only" }), [run, context]);
  const question = JSON.stringify(variables);
  const [last, setLast] = useState<{ question: string; data: Data }>();
  // While the next answer is under way, `result.data` may still belong to the question before.
  if (result.data && !result.error && !result.fetching && !result.stale && (last?.data !== result.data || last.question !== question)) {
    setLast({ question, data: result.data });
  }
  const problem = result.error && !result.data ? problemOf(result.error) : undefined;
  // A lost connection, or a server that is busy, takes nothing off the screen that still answers the question asked.
  const late = (problem?.code === "NETWORK" || problem?.code === "UNAVAILABLE") && last?.question === question;
  return {
    data: late ? last.data : result.data,
    problem: late ? undefined : problem,
    loading: !result.data && !result.error,
    busy: result.fetching,
    late,
    reload,
  };
}

/** Runs `onChange` when the subscription says so; asks regularly while the subscription cannot be kept open. */
export function useLive<Data>(
  subscription: TypedDocumentString<Data, Record<string, never>>,
  onChange: (data: Data | undefined) => void,
): void {
  const line = useLine();
  const act = useRef(onChange);
  act.current = onChange;
  const [{ data }] = useSubscription<Data>({ query: String(subscription), variables: {} });
  useEffect(() => {
    if (data) act.current(data);
  }, [data]);
  const wasLive = useRef(false);
  useEffect(() => {
    if (line === "live") {
      // What happened between the first look and the open line is caught up with once.
      if (!wasLive.current) act.current(undefined);
      wasLive.current = true;
      return;
    }
    wasLive.current = false;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") act.current(undefined);
    }, ASK_AGAIN);
    return () => clearInterval(timer);
  }, [line]);
}

/** How one attempt ended. */
export type Attempt<Data> = { data: Data; problem?: undefined } | { data?: undefined; problem: Problem };

export interface Act<Data, Variables> {
  /** As `run`, for whoever makes many attempts and has to know how each ended. */
  attempt: (variables: Variables) => Promise<Attempt<Data>>;
  /** Resolves to the data, or to undefined where the server refused; the reason is then in `problem`. */
  run: (variables: Variables) => Promise<Data | undefined>;
  running: boolean;
  problem: Problem | undefined;
  clear: () => void;
}

/**
 * A mutation. The same input sent again after a lost connection carries the same `Idempotency-Key`, so that it takes
 * effect once.
 */
export function useAct<Data, Variables extends AnyVariables>(
  mutation: TypedDocumentString<Data, Variables>,
  success?: string,
): Act<Data, Variables> {
  const [, execute] = useMutation<Data, Variables>(String(mutation));
  const [running, setRunning] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const toast = useToast();
  const unanswered = useRef<{ input: string; key: string } | undefined>(undefined);
  const attempt = useCallback(
    async (variables: Variables): Promise<Attempt<Data>> => {
      const input = JSON.stringify(variables);
      const key = unanswered.current?.input === input ? unanswered.current.key : freshKey();
      unanswered.current = { input, key };
      setRunning(true);
      setProblem(undefined);
      const result = await execute(variables, { idempotencyKey: key } as never);
      setRunning(false);
      if (result.error) {
        const found = problemOf(result.error);
        if (found.code !== "NETWORK") unanswered.current = undefined;
        setProblem(found);
        return { problem: found };
      }
      unanswered.current = undefined;
      if (success) toast(success);
      return { data: result.data as Data };
    },
    [execute, success, toast],
  );
  const run = useCallback(async (variables: Variables) => (await attempt(variables)).data, [attempt]);
  return { attempt, run, running, problem, clear: useCallback(() => setProblem(undefined), []) };
}

/** 128 random bits; `crypto.randomUUID` is missing outside secure contexts. */
function freshKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
