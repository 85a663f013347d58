import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { totp } from "./totp.mjs";

const axeSource = createRequire(import.meta.url)("axe-core").source;

/** Debian's browser; the container has no user namespaces, so its sandbox is off. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

/** Waits are for states; one that never comes is given up after so many milliseconds. A loaded machine may take a while. */
export const LONGEST = 60_000;

/** A page that remembers everything the browser complained about. */
export async function open(browser, { width = 1280, height = 900, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(LONGEST);
  const complaints = [];
  page.on("console", (message) => {
    // A refused call shows as a failed resource; what the page makes of it is what the steps check.
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { page, context, complaints };
}

/** Signs in by the form, with a code where the server asks for one. */
export async function signIn(page, url, tenant, user) {
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("Organisation").fill(tenant.slug);
  await page.getByLabel("E-mail").fill(user.email);
  await page.getByRole("textbox", { name: "Password" }).fill(user.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  const code = page.getByLabel("One-time code");
  const inside = page.locator("#rail");
  await Promise.race([code.waitFor(), inside.waitFor({ state: "attached" })]);
  if (await code.isVisible()) {
    await code.fill(totp(user.totpSecret));
    await page.getByRole("button", { name: "Sign in" }).click();
    await inside.waitFor({ state: "attached" });
  }
}

/** Waits until nothing on the page is still loading. */
export async function settled(page) {
  await page.getByRole("main").waitFor();
  await page.waitForFunction(() => document.querySelector("h1, h2") && !document.querySelector(".bones"));
}

/** Serious and critical findings of axe, in words. */
export async function axe(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
  const violations = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return result.violations.map((found) => ({ id: found.id, impact: found.impact, help: found.help, nodes: found.nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`) }));
  });
  return violations.filter((found) => found.impact === "serious" || found.impact === "critical");
}

/** Elements that stick out of the window sideways. */
export function sticksOut(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (wide <= 0) return [];
    return [...document.querySelectorAll("main *")]
      .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .slice(0, 5)
      .map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
  });
}
