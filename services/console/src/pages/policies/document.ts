/** A policy document (docs/domain.md § 2) as the editors hold it: every field is there. */
export interface PolicyDocument {
  name: string;
  type: PolicyKind;
  status: string;
  controls: string[];
  exception: boolean;
  users: string[];
  machines: string[];
  applications: string[];
  commands: string[];
  files: string[];
  dates: { from: string; to: string }[];
  times: { from: string; to: string }[];
  days: string[];
  certificates: string[];
  riskLevel: number;
  mfaAlways: boolean;
  accessMinutes: number;
  confirmProtected: boolean;
  keepAdmins: string[];
  notification: { message: string; requireAcknowledgement: boolean } | null;
}

export type PolicyKind = "privilege_elevation" | "file_access" | "command_line" | "least_privilege";

export const kinds: PolicyKind[] = ["privilege_elevation", "file_access", "command_line", "least_privilege"];
export const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Which lists a type of policy has; the others are refused by the server, so the form leaves them away. */
export const lists: Record<PolicyKind, ("users" | "applications" | "commands" | "files" | "keepAdmins")[]> = {
  privilege_elevation: ["users", "applications"],
  file_access: ["users", "files", "applications"],
  command_line: ["users", "commands"],
  least_privilege: ["keepAdmins"],
};

/** What a new policy starts as: recorded, changing nothing yet. */
export function emptyDocument(): Record<string, unknown> {
  return {
    name: "",
    type: "privilege_elevation",
    status: "monitor",
    controls: ["approval"],
    users: ["*"],
    machines: ["*"],
    applications: [],
    riskLevel: 50,
  };
}

/** Reads a document and fills in what was left out, without touching what the form does not know. */
export function readDocument(raw: Record<string, unknown>): PolicyDocument {
  const strings = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === "string") : []);
  const ranges = (value: unknown): { from: string; to: string }[] =>
    Array.isArray(value)
      ? value.map((item) => {
          const range = (item ?? {}) as { from?: unknown; to?: unknown };
          return { from: String(range.from ?? ""), to: String(range.to ?? "") };
        })
      : [];
  const notification = raw.notification as { message?: unknown; requireAcknowledgement?: unknown } | null | undefined;
  return {
    name: typeof raw.name === "string" ? raw.name : "",
    type: kinds.includes(raw.type as PolicyKind) ? (raw.type as PolicyKind) : "privilege_elevation",
    status: typeof raw.status === "string" ? raw.status : "off",
    controls: strings(raw.controls),
    exception: raw.exception === true,
    users: strings(raw.users),
    machines: strings(raw.machines),
    applications: strings(raw.applications),
    commands: strings(raw.commands),
    files: strings(raw.files),
    dates: ranges(raw.dates),
    times: ranges(raw.times),
    days: strings(raw.days),
    certificates: strings(raw.certificates),
    riskLevel: typeof raw.riskLevel === "number" ? raw.riskLevel : 50,
    mfaAlways: raw.mfaAlways === true,
    accessMinutes: typeof raw.accessMinutes === "number" ? raw.accessMinutes : 240,
    confirmProtected: raw.confirmProtected === true,
    keepAdmins: strings(raw.keepAdmins),
    notification: notification
      ? {
          message: typeof notification.message === "string" ? notification.message : "",
          requireAcknowledgement: notification.requireAcknowledgement !== false,
        }
      : null,
  };
}

/** Changes one field of a raw document. Fields the form does not know stay where they are. */
export function withField(raw: Record<string, unknown>, field: keyof PolicyDocument, value: unknown): Record<string, unknown> {
  const next = { ...raw, [field]: value };
  if (field === "type") {
    const kept = new Set<string>(lists[value as PolicyKind]);
    for (const list of ["users", "applications", "commands", "files", "keepAdmins"]) if (!kept.has(list)) delete next[list];
    if (value === "least_privilege") {
      delete next.controls;
      delete next.exception;
      if (next.status !== "off" && next.status !== "enforce") next.status = "off";
    }
  }
  if (value === null) delete next[field];
  return next;
}

/** Pretty JSON with the fields in the order in which people read them. */
export function writeJson(raw: Record<string, unknown>): string {
  const order = [
    "name", "type", "status", "controls", "exception", "users", "machines", "applications", "commands", "files", "keepAdmins",
    "dates", "times", "days", "certificates", "riskLevel", "mfaAlways", "accessMinutes", "confirmProtected", "notification",
  ];
  const sorted: Record<string, unknown> = {};
  for (const field of order) if (field in raw) sorted[field] = raw[field];
  for (const [field, value] of Object.entries(raw)) if (!(field in sorted)) sorted[field] = value;
  return JSON.stringify(sorted, null, 2);
}

/** Reads what somebody typed. The error says what is wrong in words for people. */
export function parseJson(text: string): { raw: Record<string, unknown> } | { error: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { error: "A policy is one JSON object." };
    return { raw: value as Record<string, unknown> };
  } catch (error) {
    return { error: `Not JSON yet: ${error instanceof Error ? error.message : "it cannot be read"}` };
  }
}
