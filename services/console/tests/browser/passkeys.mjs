/** Passkeys with a virtual authenticator: registered, used to sign in, and used to decide from a mail. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, open, settled, signIn } from "./browser.mjs";
import { linkFor, machine } from "./outside.mjs";

export async function passkeys({ browser, ready, url, tenant, step, shots }) {
  const approver = tenant.users.find((user) => user.roles.includes("approver"));

  await step("a passkey is registered, signs in as the second factor, and decides from a mail's link", async () => {
    const request = await (await machine(ready, tenant, "WS-012")).asks("profiler.exe", "Needed for the release");
    const { page, context, complaints } = await open(browser);
    try {
      const devtools = await context.newCDPSession(page);
      await devtools.send("WebAuthn.enable");
      const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
      const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });

      await signIn(page, url, tenant, approver);
      await page.goto(`${url}/account`);
      await settled(page);
      await page.getByLabel("Name of a new passkey").fill("Laptop");
      await page.getByRole("button", { name: "Add passkey" }).click();
      await page.getByRole("list", { name: "Your passkeys" }).getByText("Laptop").waitFor();
      assert.equal((await devtools.send("WebAuthn.getCredentials", { authenticatorId })).credentials.length, 1);
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "passkey-account.png"), fullPage: true });

      await context.clearCookies();
      await page.goto(`${url}/sign-in`);
      await page.getByLabel("Organisation").fill(tenant.slug);
      await page.getByLabel("E-mail").fill(approver.email);
      await page.getByRole("textbox", { name: "Password" }).fill(approver.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: /passkey/i }).click();
      await page.locator("#rail").waitFor({ state: "attached" });
      await page.goto(`${url}/account`);
      await page.getByRole("region", { name: "Where you are signed in" }).getByText(/passkey/).first().waitFor();

      await context.clearCookies();
      await page.goto(await linkFor(ready, request, approver.email));
      await page.getByRole("button", { name: "Approve with a passkey" }).waitFor();
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "passkey-approve.png"), fullPage: true });
      await page.getByLabel("Comment").fill("Known tool");
      await page.getByRole("button", { name: "Approve with a passkey" }).click();
      await page.getByRole("heading", { level: 1, name: "This request was approved" }).waitFor();
      assert.match(await page.getByRole("main").innerText(), /Approved by Demo Approver/);
      assert.deepEqual(complaints, []);
    } catch (error) {
      await page.screenshot({ path: join(shots, "failed-passkey.png"), fullPage: true }).catch(() => undefined);
      throw error;
    } finally {
      await context.close();
    }
  });
}
