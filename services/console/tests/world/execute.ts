import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildSchema, type ExecutionResult, graphql, GraphQLError, type GraphQLSchema } from "graphql";
import { makeWorld, type Thing, type World } from "./data.ts";

/** Vite and vitest both run in the console's own folder. */
const schemaFile = resolve("../../api-schema/schema.graphql");
let schema: GraphQLSchema | undefined;

/** The schema every query of the console is checked against, in tests as on the server. */
export function theSchema(): GraphQLSchema {
  schema ??= buildSchema(readFileSync(schemaFile, "utf8"));
  return schema;
}

export interface Call {
  operationName?: string | null;
  query: string;
  variables?: Record<string, unknown>;
}

/** Answers an operation from the world. Operations in `refuse` fail with the given extensions instead. */
export async function execute(world: World, call: Call, refuse: Record<string, Thing> = {}): Promise<ExecutionResult> {
  return graphql({
    schema: theSchema(),
    source: call.query,
    rootValue: rootOf(world, refuse),
    variableValues: call.variables ?? {},
    operationName: call.operationName ?? null,
  });
}

const connection = (all: Thing[], args: { first?: number; after?: string | null }) => {
  const start = args.after ? Number(args.after) : 0;
  const first = args.first ?? 50;
  const nodes = all.slice(start, start + first);
  return {
    nodes,
    edges: nodes.map((node, index) => ({ node, cursor: String(start + index + 1) })),
    pageInfo: {
      hasNextPage: start + first < all.length,
      hasPreviousPage: start > 0,
      startCursor: nodes.length > 0 ? String(start + 1) : null,
      endCursor: nodes.length > 0 ? String(start + nodes.length) : null,
    },
    totalCount: all.length,
  };
};

type Args = Record<string, never> & { id?: string; search?: string | null; filter?: Thing | null; input?: Thing; first?: number; after?: string };

function refusal(code: string, message: string, more: Thing = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...more } });
}

function rootOf(world: World, refuse: Record<string, Thing>) {
  const byId = (list: Thing[]) => (args: Args) => list.find((thing) => thing.id === args.id) ?? null;
  const has = (values: unknown, value: unknown) => !Array.isArray(values) || values.includes(value);
  const found = (thing: Thing, search: string | null | undefined) => !search || JSON.stringify(thing).toLowerCase().includes(search.toLowerCase());
  const policyView = (policy: Thing): Thing => ({ ...policy, revisions: (args: Args) => connection(policy.history as Thing[], args) });
  const viewer = () => world.users.find((user) => user.id === world.viewerId) as Thing;
  const decide = (verdict: "APPROVED" | "DENIED") => (args: Args) => {
    const input = args.input as Thing;
    const name = verdict === "APPROVED" ? "approve" : "deny";
    if (refuse[name]) throw refusal(String(refuse[name]?.code), String(refuse[name]?.message), { methods: refuse[name]?.methods, at: refuse[name]?.at });
    const request = world.requests.find((each) => each.id === input.requestId);
    if (!request) throw refusal("NOT_FOUND", "There is no such request.");
    if (request.digest !== input.digest) throw refusal("DIGEST_MISMATCH", "The digest is another one.");
    if (request.status !== "PENDING" && request.status !== "ESCALATED") throw refusal("ALREADY_DECIDED", "the request was already denied", { at: new Date(Date.now() - 180_000).toISOString(), by: world.users[1]?.id });
    const now = new Date().toISOString();
    const who = viewer();
    Object.assign(request, {
      status: verdict,
      decidedAt: now,
      deadlines: { ...(request.deadlines as Thing), current: null },
      viewerCanDecide: false,
      viewerCanEscalate: false,
      viewerCanCancel: false,
      decisions: [{ verdict, by: { kind: "USER", id: who.id, name: who.name }, as: "ADMINISTRATOR", at: now, comment: input.comment ?? null, authentication: "password", ownRequest: false, grantMinutes: input.grantMinutes ?? null, grantUses: input.grantUses ?? null }],
    });
    if (verdict === "APPROVED") {
      request.grant = { __typename: "Grant", id: `grt_${String(request.id).slice(4)}`, status: "ACTIVE", notBefore: now, expiresAt: new Date(Date.now() + 86_400_000).toISOString(), uses: 1, used: 0, overused: 0, mfaOutstanding: true, revokedBy: null, revokedAt: null, revokeReason: null };
    }
    world.position++;
    world.events.unshift({ ...(world.events[0] as Thing), position: world.position, type: verdict === "APPROVED" ? "RequestApproved" : "RequestDenied", summary: `${who.name} ${verdict.toLowerCase()} a request`, actor: { kind: "USER", id: who.id, name: who.name }, streamId: request.id, recordedAt: now, occurredAt: now });
    return { request, position: world.position };
  };
  const save = (list: Thing[], key: string, idField: string) => (args: Args) => {
    const input = args.input as Thing;
    const thing = list.find((each) => each.id === input[idField]);
    if (!thing) throw refusal("NOT_FOUND", "There is no such thing.");
    for (const [field, value] of Object.entries(input)) if (field !== idField && field in thing) thing[field] = value;
    return { [key]: thing, position: ++world.position };
  };
  const explanation = {
    outcome: "REQUIRED",
    steps: ["JUSTIFICATION", "APPROVAL", "MFA"],
    settledBy: "Controls of all matching enforced policies together (rule 2)",
    wouldHave: null,
    considered: world.policies.slice(0, 3).map((policy, index) => ({
      policy: { policy, id: policy.id, name: policy.name, revision: policy.revision, controls: policy.controls, status: policy.status },
      matched: index === 0,
      failedField: index === 0 ? null : "applications",
      note: null,
    })),
    riskLevel: 60,
    accessMinutes: 240,
    mfaAlways: false,
    messages: [],
    snapshotVersion: 118,
    same: true,
  };
  return {
    viewer: () => {
      const user = viewer();
      return { principal: { kind: "USER", id: user.id, name: user.name }, user, tenant: { __typename: "Tenant", id: "ten_1", slug: "example", name: "Example Works", suspended: false, epoch: 1 }, roles: user.roles, scopes: [], position: world.position };
    },
    overview: {
      pendingRequests: () => world.requests.filter((request) => request.status === "PENDING").length,
      escalatedRequests: () => world.requests.filter((request) => request.status === "ESCALATED").length,
      awaitingViewer: () => world.requests.filter((request) => request.viewerCanDecide).length,
      activeGrants: 1,
      decisionsToday: 2,
      medianDecisionSeconds: 310,
      endpointsOnline: 2,
      endpointsTotal: 5,
      endpointsBehind: 1,
      policiesEnforced: 2,
      policiesMonitored: 2,
      daily: Array.from({ length: 14 }, (_, index) => ({ day: `2026-11-${13 + index}`, allowed: 40 + ((index * 17) % 31), denied: (index * 5) % 9, required: 6 + ((index * 7) % 11) })),
      alerts: [
        { code: "RECORDS_MISSING", message: "kiosk-1: records are missing from the agent's numbering, as of gpj\u202E.exe", at: new Date(Date.now() - 5_400_000).toISOString(), subjectId: world.endpoints[4]?.id },
      ],
    },
    policies: (args: Args) => connection(world.policies.filter((policy) => has(args.filter?.types, policy.type) && has(args.filter?.statuses, policy.status) && found({ document: policy.document }, args.search)).map(policyView), args),
    policy: (args: Args) => {
      const policy = world.policies.find((each) => each.id === args.id);
      return policy ? policyView(policy) : null;
    },
    validatePolicy: (args: { document: Thing }) => {
      const problems = [];
      if (!args.document.name) problems.push({ field: "name", code: "REQUIRED", message: "A policy needs a name." });
      if (args.document.type === "privilege_elevation" && ((args.document.applications as string[] | undefined) ?? []).length === 0) {
        problems.push({ field: "applications", code: "EMPTY", message: "Name at least one application, or *." });
      }
      return { problems, warnings: args.document.status === "enforce" ? [{ code: "NEVER_MONITORED", level: "WARNING", message: "It was never monitored before it is enforced.", field: "status", other: null }] : [], normalised: null };
    },
    policyImpact: { days: 7, actions: 1204, newlyDenied: 2, newlyRequired: 31, newlyAllowed: 0, unchanged: 1171, examples: [{ actionType: "PRIVILEGE_ELEVATION", summary: "C:\\Tools\\setup.exe", userName: "CORP\\member5", machineName: "LAPTOP-17", occurrences: 12, before: "PASS_THROUGH", after: "REQUIRED" }] },
    policyFile: ({ text }: { text: string }) => {
      const policies = JSON.parse(text) as Thing[];
      const good = policies.filter((policy) => policy.status !== undefined);
      return {
        format: "NATIVE",
        policies: good,
        collections: good.length > 0 ? [{ name: "testers", kind: "USERS", members: ["group:Testers"] }] : [],
        refused: policies.filter((policy) => policy.status === undefined).map(({ name }) => ({ policy: name, field: "status", message: "missing field" })),
        notes: good.map(({ name }) => ({ policy: name, field: "Controls", message: "AUDIT is no control here" })),
        approvalRules: [],
        hasBaseline: false,
      };
    },
    collections: (args: Args & { kind?: string }) => connection(world.collections.filter((collection) => (!args.kind || collection.kind === args.kind) && found({ name: collection.name, members: collection.members }, args.search)), args),
    inventory: (args: Args & { kind: string }) => connection((world.inventory[args.kind] ?? []).filter((item) => found({ name: item.name, publisher: item.publisher }, args.search)), args),
    requests: (args: Args) =>
      connection(
        world.requests.filter(
          (request) =>
            has(args.filter?.statuses, request.status) &&
            has(args.filter?.actionTypes, (request.action as Thing).type) &&
            (!args.filter?.decidableByViewer || request.viewerCanDecide === true) &&
            (!args.filter?.endpointId || (request.endpoint as Thing).id === args.filter.endpointId) &&
            found({ action: request.action, justification: request.justification }, args.search),
        ),
        args,
      ),
    request: byId(world.requests),
    approvalRules: () => world.rules,
    endpoints: (args: Args) => connection(world.endpoints.filter((endpoint) => has(args.filter?.statuses, endpoint.status) && has(args.filter?.os, endpoint.os) && found({ name: endpoint.name }, args.search)), args),
    endpoint: byId(world.endpoints),
    deploymentGroups: () => world.groups,
    auditEvents: (args: Args) => connection(world.events.filter((event) => has(args.filter?.types, event.type) && (!args.filter?.subjectId || event.streamId === args.filter.subjectId) && (!args.filter?.markedOnly || event.marked === true) && found({ summary: event.summary }, args.search)), args),
    explainDecision: explanation,
    users: (args: Args) => connection(world.users.filter((user) => has(args.filter?.statuses, user.status) && (args.filter?.managed == null || args.filter.managed === user.managed) && found({ name: user.name, email: user.email }, args.search)), args),
    teams: () => world.teams,
    serviceAccounts: () => world.serviceAccounts,
    identityProviders: () => world.identityProviders,
    scim: () => ({ __typename: "ScimAccess", address: "https://portcullis.example.com/scim/v2", tokens: world.scimTokens, accountAttribute: null, accountAttributes: ["userName", "externalId"] }),
    signInRedirectUri: () => "https://portcullis.example.com/auth/oidc/example/callback",
    settings: () => world.settings,
    mailFigures: () => ({ waiting: 0, sent: 12, failed: 1, sending: true }),
    mails: (args: Args) =>
      connection([{ position: 40, part: 0, kind: "submitted", state: "REFUSED", attempts: 1, lastAnswer: "the mail server answered 550", at: "2026-03-02T09:00:00.000Z", nextAttemptAt: null, requestId: null, user: world.users[1] }], args),

    approve: decide("APPROVED"),
    deny: decide("DENIED"),
    bulkDecide: (args: Args) => {
      const { verdict, comment, requests } = args.input as { verdict: "APPROVED" | "DENIED"; comment: string | null; requests: Thing[] };
      const results = requests.map((item) => {
        try {
          const { request } = decide(verdict)({ input: { ...item, comment } } as unknown as Args);
          return { requestId: item.requestId, request, error: null };
        } catch (error) {
          const { message, extensions } = error as GraphQLError;
          const by = world.users.find((user) => user.id === extensions.by);
          return { requestId: item.requestId, request: null, error: { code: extensions.code, message, at: extensions.at, by: by && { kind: "USER", id: by.id, name: by.name } } };
        }
      });
      return { results, position: world.position };
    },
    createPolicy: (args: Args) => {
      if (refuse.createPolicy) throw refusal(String(refuse.createPolicy.code), "The policy was refused.", { problems: refuse.createPolicy.problems });
      const document = (args.input as Thing).document as Thing;
      const policy = { ...(world.policies[0] as Thing), id: `pol_new${world.policies.length}`, name: document.name, document, status: String(document.status).toUpperCase(), revision: 1, stagedRevision: null };
      world.policies.push(policy);
      return { policy: policyView(policy), position: ++world.position };
    },
    createCollection: (args: Args) => {
      const collection = { ...(world.collections[0] as Thing), ...args.input, id: `col_new${world.collections.length}` };
      world.collections.push(collection);
      return { collection, position: ++world.position };
    },
    setPolicyStatus: (args: Args) => {
      const input = args.input as Thing;
      const policy = world.policies.find((each) => each.id === input.policyId);
      if (!policy) throw refusal("NOT_FOUND", "There is no such policy.");
      policy.status = input.status;
      return { policy: policyView(policy), position: ++world.position };
    },
    confirmSnapshot: (args: Args) => {
      const group = world.groups.find((each) => each.id === args.input?.deploymentGroupId) as Thing;
      group.heldSnapshot = null;
      return { deploymentGroup: group, position: ++world.position };
    },
    issueRegistrationToken: (args: Args) => {
      const group = world.groups.find((each) => each.id === args.input?.deploymentGroupId) as Thing;
      const token = { ...((group.registrationTokens as Thing[])[0] as Thing), id: `rtk_new${world.position}`, label: "…new", registrations: 0 };
      (group.registrationTokens as Thing[]).unshift(token);
      return { registrationToken: token, deploymentGroup: group, secret: "prt_shown_this_once", position: ++world.position };
    },
    rotateRegistrationToken: (args: Args) => {
      const group = world.groups.find((each) => (each.registrationTokens as Thing[]).some((token) => token.id === args.input?.registrationTokenId)) as Thing;
      const old = (group.registrationTokens as Thing[]).find((each) => each.id === args.input?.registrationTokenId) as Thing;
      const token = { ...old, id: `rtk_new${world.position}`, label: "…new" };
      old.revokedAt = new Date().toISOString();
      (group.registrationTokens as Thing[]).unshift(token);
      return { registrationToken: token, deploymentGroup: group, secret: "prt_shown_this_once", position: ++world.position };
    },
    revokeRegistrationToken: (args: Args) => {
      for (const group of world.groups) {
        const token = (group.registrationTokens as Thing[]).find((each) => each.id === args.input?.registrationTokenId);
        if (!token) continue;
        token.revokedAt = new Date().toISOString();
        return { registrationToken: token, deploymentGroup: group, position: ++world.position };
      }
      throw refusal("NOT_FOUND", "There is no such token.");
    },
    unlinkEndpointAccount: (args: Args) => {
      const user = world.users.find((each) => (each.accounts as Thing[]).some((link) => link.personId === args.input?.personId)) as Thing;
      user.accounts = (user.accounts as Thing[]).filter((link) => link.personId !== args.input?.personId);
      return { user, position: ++world.position };
    },
    issueScimToken: (args: Args) => {
      const token = { ...(world.scimTokens[0] as Thing), id: `stk_new${world.position}`, label: args.input?.label, lastUsedAt: null };
      world.scimTokens.unshift(token);
      return { scimToken: token, secret: "pct_scim_shown_this_once", position: ++world.position };
    },
    rotateScimToken: (args: Args) => {
      const old = world.scimTokens.find((each) => each.id === args.input?.scimTokenId) as Thing;
      const token = { ...old, id: `stk_new${world.position}`, lastUsedAt: null };
      old.replacedById = token.id;
      world.scimTokens.unshift(token);
      return { scimToken: token, secret: "pct_scim_in_its_place", position: ++world.position };
    },
    resetPasskeys: (args: Args) => {
      const user = world.users.find((each) => each.id === args.input?.userId) as Thing;
      user.passkeyEnrolled = false;
      return { user, position: ++world.position };
    },
    unlinkIdentities: (args: Args) => ({ userId: args.input?.userId, position: ++world.position }),
    mapTeamRoles: (args: Args) => {
      const team = world.teams.find((each) => each.id === args.input?.teamId) as Thing;
      team.roles = args.input?.roles;
      return { team, position: ++world.position };
    },
    changeCollection: save(world.collections, "collection", "collectionId"),
    resendMail: (args: Args) => ({ mail: { ...args.input, state: "WAITING", attempts: 0, lastAnswer: null, nextAttemptAt: null } }),
    changeSettings: (args: Args) => {
      Object.assign(world.settings, args.input);
      return { settings: world.settings, position: ++world.position };
    },
  };
}

export { makeWorld };
