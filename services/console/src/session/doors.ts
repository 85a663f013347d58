/** The JSON doors under `/auth` that the console uses. */

import { asSentence, waitText } from "../graphql/problem";
import type { CredentialJson, PasskeyOptions } from "./passkeys";

export interface Session {
  /** Sent back in `x-csrf-token` with everything that changes something. */
  csrfToken: string;
}

/** A refusal, read from `application/problem+json`. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  private readonly details: { methods?: string[]; passkey?: PasskeyOptions | null };

  constructor(status: number, code: string, message: string, details: unknown = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = (details ?? {}) as typeof this.details;
  }

  /** What will do as a proof, where one is missing: `totp`, `passkey`, `password`. */
  get methods(): string[] {
    return this.details.methods ?? [];
  }

  /** A passkey's challenge, where one may be used. */
  get passkey(): PasskeyOptions | undefined {
    return this.details.passkey ?? undefined;
  }
}

/** Codes whose own message is for programs. */
const words: Record<string, string> = {
  INVALID_SIGN_IN: "Organisation, e-mail or password is wrong, or the account is closed.",
};

async function call(method: "GET" | "POST" | "DELETE", path: string, body?: unknown, csrfToken?: string): Promise<unknown> {
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
  const problem = (answer ?? {}) as { code?: unknown; detail?: unknown; title?: unknown; details?: unknown };
  const code = typeof problem.code === "string" ? problem.code : `HTTP_${response.status}`;
  throw new Refusal(
    response.status,
    code,
    response.status === 429
      ? waitText(response.headers.get("retry-after"))
      : response.status >= 500
        ? "The server cannot answer just now. Try again in a moment."
        : (words[code] ?? asSentence(String(problem.detail ?? problem.title ?? `The server answered ${response.status}.`))),
    problem.details,
  );
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
  /** In its place, what a passkey said. */
  passkey?: CredentialJson;
}

export async function signIn(input: SignIn): Promise<void> {
  await call("POST", "/auth/sign-in", input);
}

export interface SignInProvider {
  id: string;
  name: string;
}

/** The identity providers of an organisation; none where there are none, or where the server does not say. */
export async function signInProviders(tenant: string): Promise<SignInProvider[]> {
  try {
    const answer = (await call("GET", `/auth/providers?tenant=${encodeURIComponent(tenant)}`)) as { providers?: SignInProvider[] } | null;
    return answer?.providers ?? [];
  } catch {
    return [];
  }
}

/** Where the browser goes to sign in with a provider. */
export function providerAddress(tenant: string, provider: string, next: string): string {
  return `/auth/oidc/${encodeURIComponent(tenant)}/start?provider=${encodeURIComponent(provider)}&returnTo=${encodeURIComponent(next)}`;
}

/** Ends a sign-in with a provider for which only the one-time code was missing. */
export async function signInWithCode(ticket: string, code: string): Promise<void> {
  await call("POST", "/auth/oidc/code", { ticket, code });
}

export async function signOut(session: Session): Promise<void> {
  await call("POST", "/auth/sign-out", {}, session.csrfToken);
}

/** Six digits or a recovery code, or in its place what a passkey said; where the account has a second factor. */
export interface SecondFactor {
  code?: string;
  passkey?: CredentialJson;
}

export async function acceptInvitation(token: string, password: string, second: SecondFactor): Promise<void> {
  await call("POST", "/auth/invitation", { token, password, ...second });
}

export async function askPasswordReset(tenant: string, email: string): Promise<void> {
  await call("POST", "/auth/password-reset", { tenant, email });
}

export async function resetPassword(token: string, password: string, second: SecondFactor): Promise<void> {
  await call("POST", "/auth/password-reset/confirm", { token, password, ...second });
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

/** Confirms the enrolment; answers the recovery codes, which the server tells this once. */
export async function confirmTotp(session: Session, code: string): Promise<string[]> {
  const answer = (await call("POST", "/auth/totp/confirm", { code }, session.csrfToken)) as { recoveryCodes?: unknown } | null;
  return Array.isArray(answer?.recoveryCodes) ? answer.recoveryCodes.map(String) : [];
}

/** Takes one's own codes away; `code` is of the app, or a recovery code. */
export async function removeTotp(session: Session, code: string): Promise<void> {
  await call("POST", "/auth/totp/remove", { code }, session.csrfToken);
}

export async function changePassword(session: Session, oldPassword: string, newPassword: string): Promise<void> {
  await call("POST", "/auth/password", { oldPassword, newPassword }, session.csrfToken);
}

/** A session of the user, this one or one elsewhere. Times are RFC 3339. */
export interface SessionRow {
  id: string;
  /** How it began, such as `password+totp`. */
  method: string;
  address: string | null;
  /** What the browser called itself. */
  agent: string | null;
  createdAt: string;
  seenAt: string;
  expiresAt: string;
  current: boolean;
}

/** One's own sessions, newest first. */
export async function listSessions(): Promise<SessionRow[]> {
  const answer = (await call("GET", "/auth/sessions")) as { sessions?: SessionRow[] } | null;
  return answer?.sessions ?? [];
}

export async function endSession(session: Session, id: string): Promise<void> {
  await call("DELETE", `/auth/sessions/${encodeURIComponent(id)}`, undefined, session.csrfToken);
}

export interface Passkey {
  id: string;
  name: string;
  createdAt: string;
  lastUsedAt: string | null;
  /** Its counter went back, as that of a copy does: it is refused. */
  flagged: boolean;
}

export interface Passkeys {
  /** Whether they work at the server's address. */
  available: boolean;
  passkeys: Passkey[];
}

export async function listPasskeys(): Promise<Passkeys> {
  const answer = (await call("GET", "/auth/passkeys")) as Partial<Passkeys> | null;
  return { available: answer?.available === true, passkeys: answer?.passkeys ?? [] };
}

export async function passkeyOptions(session: Session): Promise<PasskeyOptions> {
  return (await call("POST", "/auth/passkeys/options", {}, session.csrfToken)) as PasskeyOptions;
}

export async function registerPasskey(session: Session, name: string, credential: CredentialJson): Promise<void> {
  await call("POST", "/auth/passkeys", { name, credential }, session.csrfToken);
}

export async function removePasskey(session: Session, id: string): Promise<void> {
  await call("DELETE", `/auth/passkeys/${encodeURIComponent(id)}`, undefined, session.csrfToken);
}

export async function passkeyStepUpOptions(session: Session): Promise<PasskeyOptions> {
  return (await call("POST", "/auth/step-up/passkey", {}, session.csrfToken)) as PasskeyOptions;
}

/** A fresh proof: one of the three. */
export async function stepUp(session: Session, proof: { code?: string; passkey?: CredentialJson; password?: string }): Promise<void> {
  await call("POST", "/auth/step-up", proof, session.csrfToken);
}

function asSession(answer: unknown): Session | undefined {
  const token = (answer as { csrfToken?: unknown } | null)?.csrfToken;
  return typeof token === "string" ? { csrfToken: token } : undefined;
}
