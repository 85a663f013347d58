/** What happens outside of the browser: an agent that files requests, mails that come, a clock that can be moved. */
import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A machine of a tenant with the reference agent. */
export async function machine(ready, tenant, name) {
  const program = process.env.PORTCULLIS_AGENT;
  if (!program) throw new Error("PORTCULLIS_AGENT has to name the agent's program");
  const state = mkdtempSync(join(tmpdir(), "portcullis-agent-"));
  const env = { ...process.env, PORTCULLIS_AGENT_STATE: join(state, "state") };
  const token = tenant.deploymentGroups[0].registrationToken;
  const options = ["--server", ready.url, "--token", token, "--root", tenant.rootKey, "--machine-name", name, "--machine-os", "windows", "--machine-id", crypto.randomUUID()];
  await run(program, ["register", ...options], { env });
  return {
    /** Files a request for a program in the downloads, and does not wait for the decision. */
    async asks(file, justification, user = "DEMO\\erin") {
      const action = {
        type: "privilege_elevation",
        user: { name: user, groups: [] },
        machine: { name, os: "windows" },
        application: { path: `C:\\Users\\erin\\Downloads\\${file}`, publisher: "CN=Contoso & <Sons>" },
        at: `${(await now(ready)).slice(0, 19)}+00:00`,
        variables: { downloads: "C:\\Users\\erin\\Downloads" },
        online: true,
      };
      const path = join(state, "action.json");
      writeFileSync(path, JSON.stringify(action));
      // It exits with another code than 0 as long as nobody decided.
      const { stdout } = await run(program, ["request", path, "--justification", justification, "--wait", "0", "--json"], { env }).catch((ended) => ended);
      const { request } = JSON.parse(stdout);
      if (!request) throw new Error(`no request was filed: ${stdout}`);
      return request;
    },
  };
}

/** Many machines that register and go again. */
export async function fleet(ready, tenant, prefix, count) {
  const token = tenant.deploymentGroups[0].registrationToken;
  const options = ["--server", ready.url, "--token", token, "--root", tenant.rootKey, "--prefix", prefix, "--agents", String(count), "--stay", "0"];
  // It exits with another code than 0 where none stayed for the newest snapshot.
  const { stdout } = await run(process.env.PORTCULLIS_AGENT, ["fleet", ...options], { maxBuffer: 64 * 1024 * 1024 }).catch((ended) => ended);
  if (!new RegExp(`registered +${count} of ${count} `).test(stdout)) throw new Error(`not all machines registered: ${stdout}`);
}

/** A user as an identity provider makes one. */
export async function provision(ready, tenant, email, name) {
  const headers = { authorization: `Bearer ${tenant.scimToken}`, "content-type": "application/scim+json" };
  const body = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: email, displayName: name, active: true, emails: [{ value: email, primary: true }] };
  const answer = await patient(() => fetch(`${ready.url}/scim/v2/Users`, { method: "POST", headers, body: JSON.stringify(body) }));
  // One that was answered late is there at the second try.
  if (!answer.ok && answer.status !== 409) throw new Error(`no user was made: ${answer.status} ${await answer.text()}`);
}

/** The link for one approver in the mail about a request. */
export async function linkFor(ready, request, to) {
  for (let round = 0; round < 600; round++) {
    const mails = await (await fetch(`${ready.mailboxUrl}/messages.json`)).json();
    const mail = mails.find((each) => each.to.includes(to) && each.text.includes(request) && each.links.some((link) => link.includes("/approve/")));
    if (mail) return mail.links.find((link) => link.includes("/approve/"));
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no mail to ${to} about ${request}`);
}

/** Asks again as long as the server says that it can't answer for a moment, as every caller should. */
async function patient(ask) {
  for (let round = 0; ; round++) {
    const answer = await ask();
    const wait = answer.headers.get("retry-after") ?? (await answer.clone().json().catch(() => ({}))).errors?.[0]?.extensions?.retryAfter ?? (answer.status === 503 && 1);
    if (!wait || round === 30) return answer;
    await new Promise((done) => setTimeout(done, 1000 * Number(wait)));
  }
}

/** What a program with every scope asks or changes. */
export async function graphql(ready, tenant, query, variables = {}) {
  const headers = { authorization: `Bearer ${tenant.apiKey}`, "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  const answer = await patient(() => fetch(`${ready.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query, variables }) }));
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** The server's time, RFC 3339. */
export async function now(ready) {
  return (await (await fetch(`${ready.mailboxUrl}/clock`)).json()).now;
}

export async function advance(ready, milliseconds) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${ready.mailboxUrl}/clock`, { method: "POST", headers, body: JSON.stringify({ advanceMs: milliseconds }) });
  if (!answer.ok) throw new Error(`the clock stays: ${answer.status}`);
}
