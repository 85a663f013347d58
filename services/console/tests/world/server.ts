import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import { execute, makeWorld } from "./execute.ts";
import { someSessions } from "./sessions.ts";

/** What the real server sends with the console's pages; the pages have to work under it. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** Answers the console's calls from an invented organisation: only with PORTCULLIS_PRETEND=1, never in a build. */
export function worldServer(): Plugin {
  const handler = worldHandler();
  return {
    name: "portcullis-pretend-server",
    configureServer: (server) => void server.middlewares.use(handler),
    configurePreviewServer: (server) =>
      void server.middlewares.use((request, response, next) => {
        response.setHeader("content-security-policy", CONTENT_SECURITY_POLICY);
        void handler(request, response, next);
      }),
  };
}

export function worldHandler(): Connect.NextHandleFunction {
  const world = makeWorld();
  return async (request, response, next) => {
    const signedIn = /(^|; )pretend=1/.test(request.headers.cookie ?? "");
    const path = (request.url ?? "").split("?")[0];
    if (path === "/auth/session") {
      if (signedIn) return send(response, 200, { csrfToken: "pretend" });
      return send(response, 401, { code: "UNAUTHENTICATED", title: "Nobody is signed in" });
    }
    if (path === "/auth/sign-in") {
      const { password } = JSON.parse(await bodyOf(request)) as { password?: string };
      if (password !== "pretend-password") return send(response, 401, { code: "INVALID_CREDENTIALS", title: "Unknown user or wrong password" });
      response.setHeader("set-cookie", "pretend=1; HttpOnly; SameSite=Lax; Path=/");
      return send(response, 200, {});
    }
    if (path === "/auth/providers") return send(response, 200, { providers: [{ id: "idp_1", name: "Contoso" }] });
    if (path === "/auth/sign-out") {
      response.setHeader("set-cookie", "pretend=; Max-Age=0; Path=/");
      return send(response, 204, undefined);
    }
    if (path === "/auth/sessions") return send(response, 200, someSessions());
    if (path === "/graphql" && request.method === "POST") {
      return send(response, 200, await execute(world, JSON.parse(await bodyOf(request))));
    }
    return next();
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status;
  response.setHeader("content-type", status >= 400 ? "application/problem+json" : "application/json");
  response.end(body === undefined ? "" : JSON.stringify(body));
}
