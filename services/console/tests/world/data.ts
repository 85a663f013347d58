/**
 * An invented organisation for tests and for looking at the pages without a server. Times are relative to `now`, so
 * that deadlines are always near.
 */
export type Thing = Record<string, unknown>;

const suffix = (number: number) => `01k9zq3v5teh2b7c8d9e0f${String(number).padStart(4, "0")}`;
export const id = (kind: string, number: number) => `${kind}_${suffix(number)}`;

export interface World {
  users: Thing[];
  teams: Thing[];
  policies: Thing[];
  collections: Thing[];
  inventory: Record<string, Thing[]>;
  requests: Thing[];
  rules: Thing[];
  endpoints: Thing[];
  groups: Thing[];
  events: Thing[];
  serviceAccounts: Thing[];
  identityProviders: Thing[];
  scimTokens: Thing[];
  settings: Thing;
  viewerId: string;
  position: number;
}

const digest = (seed: number) => Array.from({ length: 64 }, (_, index) => ((seed * 31 + index * 7) % 16).toString(16)).join("");

export function makeWorld(now = Date.now()): World {
  const at = (minutes: number) => new Date(now + minutes * 60_000).toISOString();
  const user = (number: number, name: string, roles: string[], more: Thing = {}): Thing => ({
    __typename: "User",
    id: id("usr", number),
    personId: id("psn", number),
    email: `${name.split(" ")[0]?.toLowerCase()}@example.com`,
    name,
    status: "ACTIVE",
    roles,
    assignedRoles: roles,
    teams: [],
    accounts: [],
    totpEnrolled: number % 2 === 1,
    passkeyEnrolled: number === 2,
    managed: false,
    createdAt: at(-90_000),
    lastSignInAt: at(-number * 37),
    ...more,
  });
  const users = [
    user(1, "Administrator One", ["OWNER", "ADMIN"]),
    user(2, "Approver Two", ["APPROVER"]),
    user(3, "Auditor Three", ["AUDITOR"]),
    user(4, "Member Four", ["MEMBER"], { lastSignInAt: null, status: "INVITED" }),
    user(5, "Member Five", ["MEMBER"], { managed: true }),
    user(6, "Former Six", ["MEMBER"], { status: "DISABLED" }),
  ];
  const actor = (number: number) => ({ kind: "USER", id: users[number - 1]?.id, name: users[number - 1]?.name });
  const system = { kind: "SYSTEM", id: null, name: null };
  const team: Thing = { __typename: "Team", id: id("tem", 1), name: "Security", members: [users[0], users[1]], managed: false, roles: [], createdAt: at(-80_000) };
  const group = (number: number, name: string): Thing => ({
    __typename: "DeploymentGroup",
    id: id("dgr", number),
    name,
    heldSnapshot: number === 1 ? { version: 121, policies: 2, servedPolicies: 40, at: at(-20) } : null,
    endpointCount: number === 1 ? 2 : 3,
    snapshotVersion: 118,
    upToDateCount: number === 1 ? 2 : 1,
    stagedPolicies: [],
    registrationTokens: [],
    createdAt: at(-70_000),
  });
  const groups = [group(1, "Pilot"), group(2, "Everybody")];
  (groups[0] as Thing).registrationTokens = [
    { __typename: "RegistrationToken", id: id("rtk", 1), label: "…a1b2c3", createdAt: at(-4000), createdBy: actor(1), expiresAt: at(8000), maximumRegistrations: 20, registrations: 2, revokedAt: null },
    { __typename: "RegistrationToken", id: id("rtk", 2), label: "…d4e5f6", createdAt: at(-40_000), createdBy: actor(1), expiresAt: null, maximumRegistrations: null, registrations: 7, revokedAt: at(-400) },
  ];
  const endpoint = (number: number, name: string, os: string, status: string, groupIndex: number, more: Thing = {}): Thing => ({
    __typename: "Endpoint",
    id: id("end", number),
    name,
    status,
    os,
    osVersion: { WINDOWS: "11 24H2", MACOS: "15.2", LINUX: "Debian 12" }[os],
    agentVersion: "0.1.0",
    machineId: digest(number).slice(0, 32),
    deploymentGroup: groups[groupIndex],
    registeredAt: at(-60_000),
    lastSeenAt: at(status === "ONLINE" ? -1 : -900),
    offeredSnapshot: 118,
    appliedSnapshot: status === "OUTDATED" ? 97 : 118,
    appliedAt: at(-300),
    queueLength: 0,
    clockSkewMs: 140,
    plugins: ["policy", "api", "logging", "client"].map((plugin) => ({ name: plugin, state: "running" })),
    reregistered: false,
    gaps: 0,
    reusedNumbers: 0,
    numbersReusedAt: null,
    accounts: [],
    removedAt: null,
    ...more,
  });
  const endpoints = [
    endpoint(1, "LAPTOP-17", "WINDOWS", "ONLINE", 0),
    endpoint(2, "LAPTOP-22", "WINDOWS", "OUTDATED", 1, { queueLength: 12 }),
    endpoint(3, "build-03", "LINUX", "ONLINE", 1, { reregistered: true }),
    endpoint(4, "studio-mac", "MACOS", "OFFLINE", 0),
    endpoint(5, "kiosk-1", "WINDOWS", "OFFLINE", 1, { gaps: 1 }),
  ];
  (endpoints[0] as Thing).accounts = [
    { account: "CORP\\member5", personId: id("psn", 5), user: users[4], firstSeenAt: at(-50_000) },
    { account: "LAPTOP-17\\helper", personId: id("psn", 40), user: null, firstSeenAt: at(-500) },
  ];
  (users[4] as Thing).accounts = [{ personId: id("psn", 5), endpoint: endpoints[0], account: "CORP\\member5", linkedAt: at(-40_000) }];
  for (const member of users.slice(0, 2)) member.teams = [team];

  const program = (name: string, publisher: string | null, endpoints: number, versions: string[], members: Thing[]): Thing => ({ name, publisher, versions, endpoints, members });
  const inventory: Record<string, Thing[]> = {
    APPLICATIONS: [
      program("Archiver", "CN=Contoso", 3, ["22.1", "23.0"], [
        { by: "PATH", members: ["path:C:\\Program Files\\Archiver\\archiver.exe"] },
        { by: "SHA256", members: [`sha256:${digest(7)}`, `sha256:${digest(8)}`] },
        { by: "PUBLISHER", members: ["publisher:CN=Contoso"] },
      ]),
      program("Packager", null, 1, [], [{ by: "PATH", members: ["path:/opt/packager/run"] }]),
      program("Unnamed", null, 1, ["1"], []),
    ],
    USERS: [program("CORP\\helpdesk", null, 2, [], [{ by: "USER", members: ["user:CORP\\helpdesk"] }])],
    MACHINES: endpoints.map((each) => program(String(each.name), null, 1, [String(each.osVersion)], [{ by: "MACHINE", members: [`machine:${each.name}`] }])),
  };

  const document1 = {
    name: "Installers need a second pair of eyes",
    type: "privilege_elevation",
    status: "enforce",
    controls: ["approval", "mfa"],
    users: ["*"],
    machines: ["collection:pilot-laptops"],
    applications: ["path:{downloads}\\*.exe", "collection:installers"],
    times: [{ from: "08:00", to: "18:00" }],
    days: ["mon", "tue", "wed", "thu", "fri"],
    riskLevel: 60,
  };
  const policy = (number: number, document: Record<string, unknown>, more: Thing = {}): Thing => ({
    __typename: "Policy",
    id: id("pol", number),
    name: document.name,
    type: String(document.type).toUpperCase(),
    status: String(document.status).toUpperCase(),
    controls: ((document.controls as string[]) ?? []).map((control) => control.toUpperCase()),
    exception: document.exception === true,
    riskLevel: document.riskLevel ?? 50,
    document,
    revision: 1,
    stagedRevision: null,
    warnings: [],
    createdAt: at(-50_000),
    updatedAt: at(-number * 400),
    updatedBy: actor(1),
    deletedAt: null,
    history: [{ number: 1, state: "CURRENT", document, comment: null, author: actor(1), at: at(-50_000), position: 20, stagedTo: [] }],
    ...more,
  });
  const older = { ...document1, controls: ["approval"], riskLevel: 40, times: undefined };
  const staged = { ...document1, applications: [...document1.applications, "publisher:CN=Contoso*"] };
  const stagedRevision = { number: 3, state: "STAGED", document: staged, comment: "Also signed installers", author: actor(1), at: at(-60), position: 117, stagedTo: [groups[0]] };
  const policies = [
    policy(1, document1, {
      revision: 2,
      stagedRevision,
      history: [
        stagedRevision,
        { number: 2, state: "CURRENT", document: document1, comment: "Ask for a code as well", author: actor(1), at: at(-400), position: 97, stagedTo: [] },
        { number: 1, state: "SUPERSEDED", document: JSON.parse(JSON.stringify(older)), comment: null, author: actor(1), at: at(-50_000), position: 20, stagedTo: [] },
      ],
    }),
    policy(2, { name: "No remote tools", type: "privilege_elevation", status: "enforce", controls: ["deny"], users: ["*"], machines: ["*"], applications: ["path:*\\remote-help.exe"], riskLevel: 90 }),
    policy(3, { name: "Service restarts are written down", type: "command_line", status: "monitor_and_notify", controls: ["justification"], users: ["group:ops"], machines: ["os:linux"], commands: ["systemctl restart *"] }, { warnings: [{ code: "SCOPE_EMPTY", level: "WARNING", message: "No known endpoint has a user in group:ops.", field: "users", other: null }] }),
    policy(4, { name: "SSH configuration", type: "file_access", status: "monitor", controls: ["approval"], users: ["*"], machines: ["os:linux"], files: ["/etc/ssh/*"] }),
    policy(5, { name: "Standing administrators", type: "least_privilege", status: "off", machines: ["*"], keepAdmins: ["user:*\\Administrator"] }),
  ];
  (groups[0] as Thing).stagedPolicies = [policies[0]];
  const collections: Thing[] = [
    { __typename: "Collection", id: id("col", 1), name: "pilot-laptops", kind: "MACHINES", members: ["machine:LAPTOP-1*"], usedBy: [policies[0]], createdAt: at(-50_000), updatedAt: at(-5000) },
    { __typename: "Collection", id: id("col", 2), name: "installers", kind: "APPLICATIONS", members: ["path:*\\setup*.exe", "path:*\\install*.exe", "path:*.msi", `sha256:${digest(3)}`, "publisher:CN=Contoso*"], usedBy: [policies[0]], createdAt: at(-50_000), updatedAt: at(-9000) },
  ];
  const rule: Thing = {
    __typename: "ApprovalRule",
    id: id("rul", 1),
    name: "Risky things go to security",
    rank: 1,
    actionTypes: [],
    collections: [],
    minimumRisk: 60,
    maximumRisk: 100,
    primary: { users: [], teams: [team] },
    secondary: { users: [users[0]], teams: [] },
    quorum: 1,
    windows: { pendingMinutes: 30, escalatedMinutes: 240, grantMinutes: 1440, grantUses: 1 },
    warnings: [],
    createdAt: at(-50_000),
    updatedAt: at(-50_000),
  };
  const second: Thing = { ...rule, id: id("rul", 2), name: "Everything else", rank: 2, minimumRisk: 0, maximumRisk: 59, primary: { users: [users[1]], teams: [] }, secondary: { users: [], teams: [] } };
  const request = (number: number, status: string, more: Thing = {}): Thing => {
    const open = status === "PENDING" || status === "ESCALATED";
    return {
      __typename: "Request",
      id: id("req", number),
      status,
      action: {
        type: "PRIVILEGE_ELEVATION",
        userName: "CORP\\member5",
        userGroups: ["CORP\\Domain Users", "CORP\\Field staff"],
        machineName: "LAPTOP-17",
        os: "WINDOWS",
        application: { path: "C:\\Users\\member5\\Downloads\\printer-setup.exe", sha256: digest(number), publisher: "CN=Contoso Printing, O=Contoso", certificate: null },
        commandLine: "\"C:\\Users\\member5\\Downloads\\printer-setup.exe\" /quiet /norestart /log C:\\Users\\member5\\AppData\\Local\\Temp\\printer-setup-2026-11-26.log",
        file: null,
        cwd: "C:\\Users\\member5\\Downloads",
        at: at(-8),
        offsetMinutes: 60,
      },
      digest: digest(number + 5),
      justification: "The new printer on the second floor needs its driver, and the workshop starts at eleven.",
      requester: { account: "CORP\\member5", linked: true, user: users[4] },
      endpoint: endpoints[0],
      riskLevel: 60,
      policies: [{ policy: policies[0], id: policies[0]?.id, name: policies[0]?.name, revision: 2, controls: ["APPROVAL", "MFA"], status: "ENFORCE" }],
      controls: ["APPROVAL", "MFA"],
      steps: ["JUSTIFICATION", "APPROVAL", "MFA"],
      flags: [],
      approvalRule: rule,
      quorum: 1,
      deadlines: { pendingUntil: at(22), escalatedUntil: status === "ESCALATED" ? at(200) : null, current: open ? at(status === "ESCALATED" ? 200 : 22) : null, grantMinutes: 1440, grantUses: 1 },
      submittedAt: at(-8 - number),
      decidedAt: open ? null : at(-3),
      occurrences: 1,
      eligibleApprovers: [
        { user: users[1], as: "PRIMARY" },
        { user: users[0], as: "ADMINISTRATOR" },
      ],
      viewerCanDecide: open,
      viewerRefusal: open ? null : "ALREADY_DECIDED",
      viewerCanEscalate: status === "PENDING",
      viewerCanExpire: false,
      viewerCanCancel: open,
      decisions: [],
      escalation: status === "ESCALATED" ? { at: at(-5), by: null, reason: null } : null,
      cancelReason: null,
      grant: null,
      previousRequest: null,
      position: 100 + number,
      ...more,
    };
  };
  const requests = [
    request(1, "PENDING"),
    request(2, "ESCALATED", {
      riskLevel: 85,
      occurrences: 3,
      flags: [
        { code: "UNLINKED_REQUESTER", message: "The account is not linked to a person." },
        { code: "AGENT_CLAIM_DIFFERS", message: "The agent claimed risk 20; the server found 85." },
      ],
      requester: { account: "LAPTOP-17\\helper", linked: false, user: null },
      justification: "Please approve\u202Equickly\u202C.\nThank you.",
      action: {
        type: "PRIVILEGE_ELEVATION",
        userName: "LAPTOP-17\\helper",
        userGroups: [],
        machineName: "LAPTOP-17",
        os: "WINDOWS",
        application: { path: "C:\\Users\\helper\\Desktop\\invoice_\u202Efdp.exe", sha256: digest(9), publisher: null, certificate: null },
        commandLine: "invoice_\u202Efdp.exe --run\u00A0now\u0007",
        file: null,
        cwd: null,
        at: at(-70),
        offsetMinutes: 0,
      },
    }),
    request(3, "APPROVED", {
      decisions: [{ verdict: "APPROVED", by: actor(2), as: "PRIMARY", at: at(-3), comment: "Known vendor.", authentication: "password+totp", ownRequest: false, grantMinutes: 60, grantUses: null }],
      grant: { __typename: "Grant", id: id("grt", 3), status: "ACTIVE", notBefore: at(-3), expiresAt: at(57), uses: 1, used: 0, overused: 0, mfaOutstanding: true, revokedBy: null, revokedAt: null, revokeReason: null },
    }),
    request(4, "DENIED", {
      decisions: [{ verdict: "DENIED", by: actor(1), as: "ADMINISTRATOR", at: at(-3), comment: "Use the packaged version.", authentication: "password", ownRequest: false, grantMinutes: null, grantUses: null }],
    }),
  ];
  const event = (position: number, type: string, summary: string, who: Thing, stream: string, streamId: unknown, data: Thing = {}, more: Thing = {}): Thing => ({
    position,
    type,
    streamType: stream,
    streamId,
    streamVersion: 1,
    occurredAt: at(-(130 - position) * 9),
    recordedAt: at(-(130 - position) * 9),
    actor: who,
    authentication: who.kind === "USER" ? "password+totp" : null,
    address: who.kind === "USER" ? "192.0.2.17" : null,
    correlationId: `01936f5e-0000-7000-8000-${String(position).padStart(12, "0")}`,
    causationId: null,
    summary,
    data,
    leaf: digest(position),
    marked: false,
    ...more,
  });
  const events = [
    event(118, "RequestEscalated", "The request of LAPTOP-17\\helper was escalated at its deadline", system, "request", requests[1]?.id, { due: at(-5) }),
    event(117, "PolicyRevisionStaged", "Revision 3 of “Installers need a second pair of eyes” was staged to Pilot", actor(1), "policy", policies[0]?.id, { revision: 3 }),
    event(116, "RequestSubmitted", "CORP\\member5 asked to run printer-setup.exe as administrator on LAPTOP-17", { kind: "ENDPOINT", id: endpoints[0]?.id, name: "LAPTOP-17" }, "request", requests[0]?.id, { riskLevel: 60, occurrences: 1 }),
    event(115, "RequestDenied", "Administrator One denied a request of CORP\\member5", actor(1), "request", requests[3]?.id, { comment: "Use the packaged version." }),
    event(114, "RequestApproved", "Approver Two approved a request of CORP\\member5, narrowed to 1 h", actor(2), "request", requests[2]?.id, { grantMinutes: 60 }),
    event(113, "PolicyStatusSet", "“No remote tools” is enforced now", actor(1), "policy", policies[1]?.id, { status: "enforce" }, { marked: true }),
    event(1, "TenantCreated", "The organisation was created", { kind: "OPERATOR", id: null, name: null }, "tenant", id("ten", 1), {}),
  ];
  return {
    users,
    teams: [team],
    policies,
    collections,
    inventory,
    requests,
    rules: [rule, second],
    endpoints,
    groups,
    events,
    scimTokens: [
      { __typename: "ScimToken", id: id("stk", 1), label: "Directory", role: "ADMIN", createdAt: at(-50_000), expiresAt: null, lastUsedAt: at(-30), revokedAt: null, replacedById: null },
    ],
    identityProviders: [
      {
        __typename: "IdentityProvider",
        id: id("idp", 1),
        name: "Contoso",
        issuer: "https://id.contoso.example",
        clientId: "portcullis",
        hasClientSecret: true,
        scopes: ["email", "profile", "groups"],
        groupsClaim: "groups",
        accountClaim: "upn",
        roleMapping: [{ __typename: "RoleMapping", group: "Approvers", role: "APPROVER" }],
        provision: false,
        emailDomains: ["example.com"],
        trustedFactors: [],
        ceiling: "OWNER",
        disabled: false,
        checkedAt: at(-90),
        problem: "the identity provider can't be used for the moment: its address gave no answer",
        createdAt: at(-9000),
        updatedAt: at(-9000),
        removedAt: null,
      },
    ],
    serviceAccounts: [
      {
        __typename: "ServiceAccount",
        id: id("svc", 1),
        name: "Ticket system",
        createdAt: at(-30_000),
        apiKeys: [
          { __typename: "ApiKey", id: id("key", 1), label: "…0p1q2r", scopes: ["requests:read", "requests:submit"], createdAt: at(-30_000), expiresAt: null, lastUsedAt: at(-12), revokedAt: null },
          { __typename: "ApiKey", id: id("key", 2), label: "…3s4t5u", scopes: ["requests:read"], createdAt: at(-31_000), expiresAt: null, lastUsedAt: null, revokedAt: at(-29_000) },
        ],
      },
    ],
    settings: {
      tenantName: "Example Works",
      publicUrl: "https://portcullis.example.com",
      windows: { pendingMinutes: 30, escalatedMinutes: 240, grantMinutes: 1440, grantUses: 1 },
      minimumJustification: 10,
      requireDenialComment: true,
      allowSelfApproval: false,
      refuseUnlinkedRequesters: false,
      bindMfaToRequester: false,
      requireSecondFactorToDecide: false,
      defaultApprovers: { users: [users[1]], teams: [] },
      baselines: [
        { actionType: "PRIVILEGE_ELEVATION", outcome: "REQUIRED", controls: ["JUSTIFICATION"] },
        { actionType: "FILE_ACCESS", outcome: "PASS_THROUGH", controls: [] },
        { actionType: "COMMAND_LINE", outcome: "PASS_THROUGH", controls: [] },
      ],
    },
    viewerId: id("usr", 1),
    position: 118,
  };
}
