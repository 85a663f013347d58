import { render } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { vi } from "vitest";
import { App } from "../../src/app";
import { execute, makeWorld } from "../world/execute";
import type { Thing, World } from "../world/data";
import { someSessions } from "../world/sessions";

export interface Sent {
  operation: string;
  variables: Thing;
  headers: Record<string, string>;
}

export interface Stage {
  world: World;
  sent: Sent[];
  /** Names of mutations that the server refuses, with code, message and problems. */
  refuse: Record<string, Thing>;
  /** While set, what the server says beside whatever it could answer. */
  errors: { now?: Thing[] };
  /** While true, the network is gone. */
  down: { now: boolean };
  /** Calls to the doors under `/auth`, as `METHOD path`, with their bodies. */
  doors: { call: string; body: Record<string, unknown> }[];
  /** The session ends, as if by another tab or at the server. */
  endSession: () => void;
}

/** A socket that never connects, so that pages have to ask by themselves. */
class DeadSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  readonly readyState = 0;
  onclose: ((event: unknown) => void) | null = null;
  close() {}
  send() {}
  addEventListener() {}
}

/** The whole console at an address, against the invented organisation; `signedIn` false starts at the door. */
export function show(path: string, options: { signedIn?: boolean; viewer?: number } = {}): Stage {
  const world = makeWorld();
  if (options.viewer !== undefined) world.viewerId = String(world.users[options.viewer]?.id);
  const stage: Stage = { world, sent: [], refuse: {}, errors: {}, down: { now: false }, doors: [], endSession: () => void (signedIn = false) };
  const sessions = someSessions();
  let signedIn = options.signedIn ?? true;
  let proved = false;
  const json = (status: number, body: unknown) =>
    new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  vi.stubGlobal("WebSocket", DeadSocket);
  vi.stubGlobal("fetch", async (address: string | URL, init: RequestInit = {}) => {
    if (stage.down.now) throw new TypeError("the network is gone");
    const target = new URL(String(address), "http://console.test").pathname;
    const body = init.body ? (JSON.parse(String(init.body)) as Record<string, unknown>) : {};
    if (target.startsWith("/auth/")) stage.doors.push({ call: `${init.method ?? "GET"} ${target}`, body });
    if (target === "/auth/sessions") return json(200, sessions);
    if (target.startsWith("/auth/sessions/")) {
      sessions.sessions = sessions.sessions.filter((each) => !target.endsWith(String(each.id)));
      return new Response(null, { status: 204 });
    }
    if (target === "/auth/passkeys") return json(200, { available: true, passkeys: [] });
    if (target === "/auth/step-up") {
      proved = true;
      return new Response(null, { status: 204 });
    }
    if (target === "/auth/passkeys/options") {
      if (!proved) return json(403, { code: "STEP_UP_NEEDED", detail: "prove it", details: { methods: ["password"] } });
      return json(200, { publicKey: { challenge: "YQ", user: { id: "YQ", name: "a", displayName: "a" } } });
    }
    if (target === "/auth/totp") return json(200, { secret: "GEZDGNBV", uri: "otpauth://totp/x", qrSvg: "" });
    if (target === "/auth/totp/confirm") return json(200, { recoveryCodes: ["1111-2222", "3333-4444"] });
    if (target === "/auth/password") {
      return body.oldPassword === "right" ? new Response(null, { status: 204 }) : json(401, { code: "INVALID_PASSWORD", detail: "That is not your present password" });
    }
    if (target === "/auth/session") return signedIn ? json(200, { csrfToken: "token-1" }) : json(401, { code: "UNAUTHENTICATED" });
    if (target === "/auth/sign-in") {
      if (body.password !== "right") return json(401, { code: "INVALID_CREDENTIALS", detail: "Unknown user or wrong password" });
      if (body.code === undefined) return json(401, { code: "CODE_NEEDED", detail: "A one-time code is needed" });
      signedIn = true;
      return json(200, {});
    }
    if (target === "/auth/password-reset/confirm") {
      if (body.code === undefined) return json(401, { code: "CODE_NEEDED", detail: "A one-time code is needed too", details: { methods: ["totp"], passkey: null } });
      signedIn = true;
      return json(200, {});
    }
    if (target === "/auth/sign-out") {
      signedIn = false;
      return json(200, {});
    }
    if (target === "/graphql" && !signedIn) return json(401, { code: "UNAUTHENTICATED" });
    if (target === "/graphql") {
      const query = String(body.query);
      stage.sent.push({
        operation: /(?:query|mutation)\s+(\w+)/.exec(query)?.[1] ?? "",
        variables: (body.variables ?? {}) as Thing,
        headers: init.headers as Record<string, string>,
      });
      const answer = await execute(world, { query, variables: body.variables as Record<string, unknown> }, stage.refuse);
      if (!stage.errors.now) return json(200, answer);
      // The first field is there, and nothing in it.
      return json(200, { data: Object.fromEntries(Object.keys(answer.data ?? {}).map((field) => [field, {}])), errors: stage.errors.now });
    }
    return json(404, {});
  });
  render(
    <MemoryRouter initialEntries={[path]}>
      <App />
    </MemoryRouter>,
  );
  return stage;
}

export const calls = (stage: Stage, operation: string) => stage.sent.filter((call) => call.operation === operation);
