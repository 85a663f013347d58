// A real OpenID provider (the npm package oidc-provider) for the tests of sign-in: `node provider.mjs PORTS-CLIENTS-JSON`.
// It writes one JSON line {"issuer"} when it answers. People sign in by a form that takes any name as the account; what
// it tells of them was set before by PUT /accounts/NAME. PUT /rotate gives it another signing key, of which alone it
// tells from then on.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

// Its notices go where errors go: nobody reads on from standard output once the first line came.
console.info = console.error;
console.warn = console.error;

const { clients, scopes = ["openid", "email", "profile", "groups"] } = JSON.parse(process.argv[2]);
const accounts = new Map();

function key() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: randomBytes(8).toString("hex"), use: "sig", alg: "RS256" };
}

function make(issuer) {
  const provider = new Provider(issuer, {
    clients,
    scopes,
    jwks: { keys: [key()] },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    claims: { openid: ["sub", "upn"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/enter/${interaction.uid}` },
    loadExistingGrant: async (context) => {
      const { oidc } = context;
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope(scopes.join(" "));
      await grant.save();
      return grant;
    },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...accounts.get(sub), sub }) }),
  });
  return { provider, handle: provider.callback() };
}

async function body(request) {
  let text = "";
  for await (const part of request) text += part;
  return text;
}

let current;
const server = createServer(async (request, response) => {
  try {
    const path = request.url.split("?")[0].split("/").filter(Boolean);
    if (request.method === "PUT" && path[0] === "accounts") {
      accounts.set(path[1], JSON.parse(await body(request)));
      return response.writeHead(204).end();
    }
    if (request.method === "PUT" && path[0] === "rotate") {
      current = make(current.provider.issuer);
      return response.writeHead(204).end();
    }
    if (path[0] === "enter" && request.method === "GET") {
      response.setHeader("content-type", "text/html");
      return response.end('<form method="post"><input name="account"><button>Enter</button></form>');
    }
    if (path[0] === "enter") {
      const account = new URLSearchParams(await body(request)).get("account");
      const result = account ? { login: { accountId: account, amr: ["pwd"] } } : { error: "access_denied" };
      return await current.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    }
    return current.handle(request, response);
  } catch (error) {
    response.writeHead(500).end(String(error?.stack ?? error));
  }
});

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  current = make(issuer);
  console.log(JSON.stringify({ issuer }));
});
// Ends with whoever started it.
process.stdin.resume().on("end", () => process.exit(0));
