import type { CombinedError } from "urql";

/** One refused field of an input, as `extensions.problems` and `validatePolicy` give it. */
export interface FieldProblem {
  field: string;
  code: string;
  message: string;
}

/** What went wrong, in a form that every page can show. */
export interface Problem {
  code: string;
  message: string;
  fields: FieldProblem[];
  /** When what it is about happened or is due, RFC 3339. */
  at?: string;
  /** What will do as a proof of who one is, with `STEP_UP_NEEDED`: `totp`, `passkey`. */
  methods?: string[];
}

/** Codes whose own message is for programs; people get these words. */
const words: Record<string, string> = {
  NETWORK: "The server could not be reached. Check the connection and try again.",
  UNAUTHENTICATED: "Your session has ended. Sign in again.",
  FORBIDDEN: "Your roles do not allow this.",
  UNAVAILABLE: "The server cannot answer just now, and nothing was lost. Try again in a moment.",
  INTERNAL: "Something went wrong on the server. It has been logged; try again in a moment.",
  DIGEST_MISMATCH: "The action shown here is not the one on the server. Load the page again and look at it once more.",
};

/** Reads a failed GraphQL answer. The first error decides the code; problems of all fields are collected. */
export function problemOf(error: CombinedError): Problem {
  if (error.networkError && error.graphQLErrors.length === 0) {
    return { ...ofStatus(error.response as Response | undefined), fields: [] };
  }
  const fields: FieldProblem[] = [];
  for (const each of error.graphQLErrors) {
    const extensions = each.extensions ?? {};
    if (Array.isArray(extensions.problems)) {
      for (const problem of extensions.problems as Partial<FieldProblem>[]) {
        fields.push({
          field: trimField(String(problem.field ?? "")),
          code: String(problem.code ?? ""),
          message: asSentence(String(problem.message ?? "")),
        });
      }
    } else if (typeof extensions.field === "string") {
      fields.push({ field: trimField(extensions.field), code: String(extensions.code ?? ""), message: asSentence(each.message) });
    }
  }
  const first = error.graphQLErrors[0];
  const { methods, at } = first?.extensions ?? {};
  const code = typeof first?.extensions?.code === "string" ? first.extensions.code : "INTERNAL";
  return {
    code,
    message: words[code] ?? asSentence(first?.message ?? (words.INTERNAL as string)),
    fields,
    ...(typeof at === "string" ? { at } : {}),
    ...(Array.isArray(methods) ? { methods: methods.map(String) } : {}),
  };
}

/** An answer that is no GraphQL: of a layer in front of it, or of a proxy. No answer at all is `NETWORK`. */
function ofStatus(response: Response | undefined): { code: string; message: string } {
  const status = response?.status ?? 0;
  const say = (code: string, message = words[code] as string) => ({ code, message });
  if (status === 401) return say("UNAUTHENTICATED");
  if (status === 403) return say("FORBIDDEN");
  if (status === 413) return say("TOO_LARGE", "That is more than the server takes at once. Send less.");
  if (status === 429) return say("RATE_LIMITED", waitText(response?.headers.get("retry-after") ?? null));
  if (status === 502 || status === 503 || status === 504) return say("UNAVAILABLE");
  if (status >= 500) return say("INTERNAL");
  return say("NETWORK");
}

/** When to try again, from a `Retry-After` in seconds. */
export function waitText(retryAfter: string | null): string {
  const seconds = Number(retryAfter);
  if (!retryAfter || !Number.isFinite(seconds)) return "Too many attempts. Wait a moment before the next one.";
  const minutes = Math.ceil(seconds / 60);
  return `Too many attempts. Try again in ${minutes <= 1 ? "a minute" : `${minutes} minutes`}.`;
}

/** The server's words begin small, so that programs can put them anywhere; a name such as `riskLevel` stays as it is. */
export function asSentence(message: string): string {
  const first = message.split(/[\s:,]/, 1)[0] ?? "";
  if (!/^[a-z]+$/.test(first)) return message;
  return message.charAt(0).toUpperCase() + message.slice(1);
}

/** Inputs are named from inside: `input.document.times[0].to` is shown at `times[0].to`. */
export function trimField(field: string): string {
  return field.replace(/^input\./, "").replace(/^document\./, "");
}

/** The message for a field, or for anything below it. */
export function messageFor(problems: readonly FieldProblem[], field: string): string | undefined {
  const found = problems.filter(
    (problem) =>
      problem.field === field || problem.field.startsWith(`${field}.`) || problem.field.startsWith(`${field}[`),
  );
  return found.length > 0 ? found.map((problem) => problem.message).join(" ") : undefined;
}
