/**
 * Drives a running server with a real browser: `PORTCULLIS_URL` is its address, `PORTCULLIS_READY` the file that
 * `portcullis dev --ready-file` wrote, `PORTCULLIS_AGENT` the agent that files requests. Screenshots go to a fresh directory
 * whose name is printed at the end.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { approvalPage } from "./approval.mjs";
import { axe, launch, open, settled, signIn, sticksOut } from "./browser.mjs";
import { deciding } from "./deciding.mjs";
import { inventory } from "./inventory.mjs";
import { passkeys } from "./passkeys.mjs";
import { pickers } from "./pickers.mjs";
import { policyImport } from "./policy-import.mjs";
import { rollout } from "./rollout.mjs";
import { secondFactor } from "./second-factor.mjs";

const readyFile = process.env.PORTCULLIS_READY;
if (!readyFile) {
  console.error("PORTCULLIS_READY has to name the file that `portcullis dev --ready-file FILE` wrote.");
  process.exit(2);
}
const ready = JSON.parse(readFileSync(readyFile, "utf8"));
const url = (process.env.PORTCULLIS_URL ?? ready.url).replace(/\/$/, "");
const shots = mkdtempSync(join(tmpdir(), "portcullis-console-"));
const [tenant, neighbour] = ready.tenants;
const withRole = (where, ...roles) => where.users.find((user) => roles.some((role) => user.roles.map((each) => each.toLowerCase()).includes(role)));
const admin = withRole(tenant, "owner", "admin");

const pages = [
  ["overview", "/"],
  ["requests", "/requests?status=all"],
  ["policies", "/policies"],
  ["policy-new", "/policies/new"],
  ["policy-import", "/policies/import"],
  ["collections", "/collections"],
  ["approval-rules", "/approval-rules"],
  ["users", "/people"],
  ["teams", "/people/teams"],
  ["service-accounts", "/people/service-accounts"],
  ["identity-providers", "/settings/identity-providers"],
  ["provisioning", "/settings/provisioning"],
  ["endpoints", "/endpoints"],
  ["groups", "/endpoints/groups"],
  ["audit", "/audit"],
  ["settings", "/settings"],
  ["account", "/account"],
  ["nowhere", "/nowhere"],
];

const browser = await launch();
let failures = 0;
let requestPath = "";

async function step(name, work) {
  const begun = Date.now();
  try {
    await work();
    console.log(`ok    ${name} (${Date.now() - begun} ms)`);
  } catch (error) {
    failures++;
    console.log(`FAIL  ${name}\n      ${String(error?.stack ?? error).replaceAll("\n", "\n      ")}`);
  }
}

/** A signed-in page for the length of one step; complaints of the browser fail the step. */
async function as(where, user, options, work) {
  const { page, context, complaints } = await open(browser, options);
  try {
    await signIn(page, url, where, user);
    await work(page, context);
    assert.deepEqual(complaints, [], "the browser complained");
  } catch (error) {
    await page.screenshot({ path: join(shots, `failed-${Date.now()}.png`), fullPage: true }).catch(() => undefined);
    throw error;
  } finally {
    await context.close();
  }
}

const looks = [
  ["light", "light", { width: 1280, height: 900 }],
  ["dark", "dark", { width: 1280, height: 900 }],
  ["phone", "light", { width: 360, height: 780 }],
];

/** Opens each of these pages once and judges every look of it. */
async function lookAt(page, some) {
  for (const [name, path] of some) {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(url + path);
    await settled(page);
    for (const [look, colorScheme, size] of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor({ state: "attached" });
      await page.waitForFunction(() => document.getAnimations().length === 0);
      const findings = await axe(page);
      assert.equal(findings.length, 0, `${name}, ${look}: ${JSON.stringify(findings, null, 1)}`);
      assert.deepEqual(await sticksOut(page), [], `${name}, ${look}: wider than the window`);
      // The dark look has the same layout: a picture of it would take time and show nothing else.
      if (look !== "dark") await page.screenshot({ path: join(shots, `${look}-${name}.png`), fullPage: true });
    }
  }
}

try {
  await step("the page is served with a policy that refuses inline code", async () => {
    const answer = await fetch(`${url}/`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.ok(policy.includes("script-src") || policy.includes("default-src"), `no content security policy: ${policy}`);
    assert.ok(!policy.includes("unsafe-inline") && !policy.includes("unsafe-eval"), policy);
  });

  if (process.env.PORTCULLIS_SIGN_IN) {
    await step("the link that was printed signs in once", async () => {
      const first = await open(browser);
      await first.page.goto(process.env.PORTCULLIS_SIGN_IN);
      await first.page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
      await first.context.close();
      const second = await open(browser);
      await second.page.goto(process.env.PORTCULLIS_SIGN_IN);
      await second.page.getByRole("button", { name: "Sign in" }).waitFor();
      assert.equal(await second.page.getByLabel("Organisation").inputValue(), tenant.slug);
      await second.context.close();
    });
  }

  await step("a wrong password is refused in words", async () => {
    const { page, context } = await open(browser);
    await page.goto(`${url}/requests`);
    await page.waitForURL(/\/sign-in\?next=/);
    await page.getByLabel("Organisation").fill(tenant.slug);
    await page.getByLabel("E-mail").fill(`nobody@${admin.email.split("@")[1]}`);
    await page.getByRole("textbox", { name: "Password" }).fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.deepEqual(await axe(page), []);
    await page.screenshot({ path: join(shots, "sign-in.png") });
    await context.close();
  });

  await step("an administrator approves the pending request and finds it in the audit trail", async () => {
    await as(tenant, admin, {}, async (page) => {
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /Requests/ }).click();
      await settled(page);
      await page.getByLabel("Whose").selectOption("decide");
      await page.locator("tbody tr").first().waitFor();
      await page.locator("tbody tr a.table__main").first().click();
      await page.getByRole("button", { name: "Approve" }).waitFor();
      requestPath = new URL(page.url()).pathname;
      const digest = (await page.getByRole("region", { name: "Digest of the action" }).locator(".mono").innerText()).trim();
      assert.match(digest, /^[0-9a-f]{64}$/);
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "request-pending.png"), fullPage: true });
      await page.getByLabel("Comment").fill("Looked at in the browser test.");
      await page.getByRole("button", { name: "Approve" }).click();
      await page.getByRole("region", { name: "Grant" }).waitFor();
      await page.getByRole("region", { name: "What happened" }).getByText("Approved by").waitFor();
      await page.screenshot({ path: join(shots, "request-approved.png"), fullPage: true });
      await page.goto(`${url}/audit?subject=${requestPath.split("/").at(-1)}`);
      await page.getByText("RequestApproved", { exact: true }).first().waitFor();
    });
  });

  await step("a reload keeps the session, and signing out ends it", async () => {
    await as(tenant, admin, {}, async (page) => {
      await page.reload();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("button", { name: "Sign in" }).waitFor();
      await page.goto(`${url}/policies`);
      await page.waitForURL(/\/sign-in/);
    });
  });

  await step("signing out in one tab ends the other", async () => {
    await as(tenant, admin, {}, async (page, context) => {
      const other = await context.newPage();
      await other.goto(`${url}/policies`);
      await settled(other);
      await page.getByRole("button", { name: "Sign out" }).click();
      await other.getByRole("button", { name: "Sign in" }).waitFor();
    });
  });

  await step("open pages hear of a sign-in and of an ended session", async () => {
    await as(tenant, admin, {}, async (page) => {
      await page.goto(`${url}/audit`);
      await settled(page);
      const newest = Number((await page.locator("tbody tr .number").first().innerText()).replaceAll(",", ""));
      await as(tenant, admin, {}, async (elsewhere) => {
        await page.waitForFunction((before) => Number(document.querySelector("tbody tr .number")?.textContent?.replaceAll(",", "")) > before, newest);
        await elsewhere.goto(`${url}/requests`);
        await settled(elsewhere);
        await page.goto(`${url}/account`);
        await settled(page);
        await page.getByRole("button", { name: /^End the session of/ }).first().click();
        await page.getByRole("button", { name: "End it" }).click();
        await elsewhere.getByRole("button", { name: "Sign in" }).waitFor();
      });
    });
  });

  await step("a registration token is shown once, and replaced", async () => {
    await as(tenant, admin, {}, async (page) => {
      await page.goto(`${url}/endpoints/groups`);
      await settled(page);
      await page.getByRole("button", { name: "Registration token…" }).first().click();
      await page.getByLabel("Machines at most").fill("3");
      await page.getByRole("button", { name: "Issue token" }).click();
      const secret = await page.locator(".secret").innerText();
      assert.match(secret, /^pct_reg_/);
      await page.getByRole("button", { name: "Done" }).click();
      assert.ok(!(await page.content()).includes(secret));
      const row = page.getByRole("row").filter({ hasText: "0 of 3" });
      await row.getByRole("button", { name: /^Replace/ }).click();
      await page.getByRole("button", { name: "Replace token" }).click();
      await page.locator(".secret").waitFor();
      await page.getByRole("button", { name: "Done" }).click();
      await row.getByText("Revoked").waitFor();
    });
  });

  await step("Escape closes a list of choices before it closes the dialog around it", async () => {
    await as(tenant, admin, {}, async (page) => {
      await page.goto(`${url}/approval-rules`);
      await settled(page);
      await page.getByRole("button", { name: "New rule" }).first().click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Name").fill("Kept while choosing");
      await dialog.getByLabel("First asked").first().click();
      await dialog.getByRole("option").first().click();
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => !document.querySelector("dialog [aria-expanded=true]"));
      assert.equal(await dialog.getByLabel("Name").inputValue(), "Kept while choosing");
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "dialog.png") });
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
    });
  });

  if (neighbour) {
    await step("another organisation's request is as if it were not there", async () => {
      await as(neighbour, withRole(neighbour, "owner", "admin"), {}, async (page) => {
        await page.goto(url + requestPath);
        await page.getByText("This request does not exist").waitFor();
      });
    });
  }

  await step("every page is accessible and whole, in light, in dark and on a phone", async () => {
    const all = [...pages, ["request", requestPath || "/requests"]];
    // Two at a time: most of it is waiting for the server.
    const half = (which) => as(tenant, admin, {}, (page) => lookAt(page, all.filter((_, index) => index % 2 === which)));
    await Promise.all([half(0), half(1)]);
  });

  // Last, since they move the server's clock.
  const stage = { browser, ready, url, tenant, neighbour, admin, step, as, shots };
  await inventory(stage);
  await pickers(stage);
  await policyImport(stage);
  await rollout(stage);
  await deciding(stage);
  await secondFactor(stage);
  await passkeys(stage);
  await approvalPage(stage);
} finally {
  await browser.close();
}
console.log(`Screenshots: ${shots}`);
process.exitCode = failures === 0 ? 0 : 1;
