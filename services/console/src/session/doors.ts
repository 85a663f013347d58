/** The JSON doors under `/auth` that the console uses. */

export interface Session {
  /** Sent back in `x-csrf-token` with everything that changes something. */
  csrfToken: string;
}

/** A refusal, read from `application/problem+json`. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(method: "GET" | "POST", path: string, body?: unknown, csrfToken?: string): Promise<unknown> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (csrfToken) headers["x-csrf-token"] = csrfToken;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      ...(body !== undefined ? { body: JSON.stringify(body) } : {}),
    });
  } catch {
    throw new Refusal(0, "NETWORK", "The server could not be reached. Check the connection and try again.");
  }
  const text = await response.text();
  let answer: unknown = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // A proxy in front may answer with a page of its own.
  }
  if (response.ok) return answer;
  const problem = (answer ?? {}) as { code?: unknown; detail?: unknown; title?: unknown };
  throw new Refusal(
    response.status,
    typeof problem.code === "string" ? problem.code : `HTTP_${response.status}`,
    response.status === 429
      ? waitText(response.headers.get("retry-after"))
      : String(problem.detail ?? problem.title ?? `The server answered ${response.status}.`),
  );
}

function waitText(retryAfter: string | null): string {
  const seconds = Number(retryAfter);
  if (!retryAfter || !Number.isFinite(seconds)) return "Too many attempts. Wait a moment before the next one.";
  const minutes = Math.ceil(seconds / 60);
  return `Too many attempts. Try again in ${minutes <= 1 ? "a minute" : `${minutes} minutes`}.`;
}

/** The running session, or undefined where there is none. */
export async function currentSession(): Promise<Session | undefined> {
  try {
    return asSession(await call("GET", "/auth/session"));
  } catch (refusal) {
    if (refusal instanceof Refusal && (refusal.status === 401 || refusal.status === 403)) return undefined;
    throw refusal;
  }
}

export interface SignIn {
  tenant: string;
  email: string;
  password: string;
  /** Six digits, where the account has a second factor. */
  code?: string;
}

export async function signIn(input: SignIn): Promise<void> {
  await call("POST", "/auth/sign-in", input);
}

export async function signOut(session: Session): Promise<void> {
  await call("POST", "/auth/sign-out", {}, session.csrfToken);
}

export async function acceptInvitation(token: string, password: string): Promise<void> {
  await call("POST", "/auth/invitation", { token, password });
}

export async function askPasswordReset(tenant: string, email: string): Promise<void> {
  await call("POST", "/auth/password-reset", { tenant, email });
}

export async function resetPassword(token: string, password: string): Promise<void> {
  await call("POST", "/auth/password-reset/confirm", { token, password });
}

export interface TotpEnrolment {
  /** Base32, to be typed by hand. */
  secret: string;
  /** `otpauth://…` */
  uri: string;
  /** The same as a QR code, an SVG document; empty where the server sends none. */
  qrSvg: string;
}

export async function beginTotp(session: Session): Promise<TotpEnrolment> {
  const answer = (await call("POST", "/auth/totp", {}, session.csrfToken)) as Partial<TotpEnrolment> | null;
  return { secret: String(answer?.secret ?? ""), uri: String(answer?.uri ?? ""), qrSvg: String(answer?.qrSvg ?? "") };
}

export async function confirmTotp(session: Session, code: string): Promise<void> {
  await call("POST", "/auth/totp/confirm", { code }, session.csrfToken);
}

function asSession(answer: unknown): Session | undefined {
  const token = (answer as { csrfToken?: unknown } | null)?.csrfToken;
  return typeof token === "string" ? { csrfToken: token } : undefined;
}
