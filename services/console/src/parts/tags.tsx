import type { ReactNode } from "react";
import type {
  Control,
  EndpointStatus,
  GrantStatus,
  Outcome,
  PolicyStatus,
  RequestStatus,
  Role,
  UserStatus,
} from "../gql/graphql";
import type { Tone } from "./states";
import { Visible } from "./visible";

export function Tag({ tone = "neutral", outline = false, children }: { tone?: Tone; outline?: boolean; children: ReactNode }) {
  return <span className={`tag tag--${outline ? "outline" : tone}`}>{children}</span>;
}

/** `MONITOR_AND_NOTIFY` → `Monitor and notify`. */
export function spell(value: string): string {
  const words = value.toLowerCase().replaceAll("_", " ");
  const named = words
    .replace(/\bmfa\b/, "MFA")
    .replace(/\bmacos\b/, "macOS")
    .replace(/\bapi\b/, "API");
  return named === words ? words.charAt(0).toUpperCase() + words.slice(1) : named.charAt(0) + named.slice(1);
}

const requestTone: Record<RequestStatus, Tone> = {
  PENDING: "info",
  ESCALATED: "warn",
  APPROVED: "good",
  DENIED: "bad",
  EXPIRED: "neutral",
  CANCELLED: "neutral",
};

export function RequestTag({ status }: { status: RequestStatus }) {
  return <Tag tone={requestTone[status]}>{spell(status)}</Tag>;
}

const grantTone: Record<GrantStatus, Tone> = { ACTIVE: "good", EXHAUSTED: "neutral", EXPIRED: "neutral", REVOKED: "bad" };

export function GrantTag({ status }: { status: GrantStatus }) {
  return <Tag tone={grantTone[status]}>{spell(status)}</Tag>;
}

const policyTone: Record<PolicyStatus, Tone> = { OFF: "neutral", MONITOR: "info", MONITOR_AND_NOTIFY: "warn", ENFORCE: "good" };

export function PolicyTag({ status }: { status: PolicyStatus }) {
  return <Tag tone={policyTone[status]}>{spell(status)}</Tag>;
}

const endpointTone: Record<EndpointStatus, Tone> = {
  NEVER_SEEN: "neutral",
  ONLINE: "good",
  OFFLINE: "neutral",
  OUTDATED: "warn",
  REMOVED: "bad",
};

export function EndpointTag({ status }: { status: EndpointStatus }) {
  return (
    <Tag tone={endpointTone[status]}>
      <span className={`dot dot--${endpointTone[status]}`} />
      {spell(status)}
    </Tag>
  );
}

const userTone: Record<UserStatus, Tone> = { INVITED: "info", ACTIVE: "good", DISABLED: "bad" };

export function UserTag({ status }: { status: UserStatus }) {
  return <Tag tone={userTone[status]}>{spell(status)}</Tag>;
}

const outcomeTone: Record<Outcome, Tone> = {
  ALLOWED: "good",
  DENIED: "bad",
  REQUIRED: "info",
  PASS_THROUGH: "neutral",
  BLOCKED_OFFLINE: "warn",
};

export function OutcomeTag({ outcome }: { outcome: Outcome }) {
  return <Tag tone={outcomeTone[outcome]}>{spell(outcome)}</Tag>;
}

export function Controls({ controls }: { controls: readonly Control[] }) {
  if (controls.length === 0) return <span className="soft">None</span>;
  return (
    <span className="chips">
      {controls.map((control) => (
        <Tag key={control} tone={control === "DENY" ? "bad" : control === "ALLOW" ? "good" : "neutral"}>
          {spell(control)}
        </Tag>
      ))}
    </span>
  );
}

export function Roles({ roles }: { roles: readonly Role[] }) {
  return (
    <span className="chips">
      {roles.map((role) => (
        <Tag key={role} tone={role === "OWNER" ? "warn" : role === "ADMIN" ? "info" : "neutral"}>
          {spell(role)}
        </Tag>
      ))}
    </span>
  );
}

export function Risk({ level }: { level: number }) {
  return (
    <span className="risk" title={`Risk ${level} of 100`}>
      <meter min={0} max={100} low={40} high={70} optimum={0} value={level} aria-label="Risk" />
      {level}
    </span>
  );
}

/** Who did it; the name may have been erased. */
export function ActorName({ actor }: { actor: { kind: string; name?: string | null } }) {
  if (actor.name) return <Visible text={actor.name} prose />;
  if (actor.kind === "SYSTEM") return <span className="soft">The system</span>;
  if (actor.kind === "OPERATOR") return <span className="soft">The operator</span>;
  return <span className="soft">{spell(actor.kind)} (name erased)</span>;
}

/** How somebody proved who they are: `password+totp` in words. */
export function methodOf(method: string): string {
  const words: Record<string, string> = { password: "password", totp: "one-time code", api_key: "API key", link: "link from a mail", oidc: "identity provider", passkey: "passkey", invitation: "link from a mail", token: "token" };
  const text = method
    .split("+")
    .map((part) => words[part] ?? part.replaceAll("_", " "))
    .join(" and ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
