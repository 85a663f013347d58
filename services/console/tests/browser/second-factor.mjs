/** An authenticator app: set up by its key, with recovery codes that are shown once and open the door once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, open, settled, sticksOut } from "./browser.mjs";
import { now } from "./outside.mjs";
import { totp } from "./totp.mjs";

export async function secondFactor({ browser, ready, url, tenant, step, as, shots }) {
  const auditor = tenant.users.find((user) => user.roles.includes("auditor"));
  let codes = [];

  await step("a second factor is set up, and its recovery codes are shown once", async () => {
    await as(tenant, auditor, {}, async (page) => {
      await page.goto(`${url}/account`);
      await settled(page);
      const card = page.getByRole("region", { name: "Second factor" });
      await card.getByText("Not set up").waitFor();
      await card.getByRole("button", { name: "Set up" }).click();
      const picture = card.getByRole("img", { name: "QR code with the key below" });
      await picture.waitFor();
      assert.ok(await picture.evaluate((image) => image.complete && image.naturalWidth > 0), "the QR code is drawn");
      const secret = (await card.locator(".secret").innerText()).trim();
      assert.match(secret, /^[A-Z2-7]{32}$/);
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "totp-enrol.png"), fullPage: true });
      await page.setViewportSize({ width: 360, height: 780 });
      assert.deepEqual(await sticksOut(page), []);
      await page.screenshot({ path: join(shots, "phone-totp-enrol.png"), fullPage: true });
      await page.setViewportSize({ width: 1280, height: 900 });
      await card.getByLabel("One-time code").fill("000000");
      await card.getByRole("button", { name: "Confirm" }).click();
      await card.getByText("This one-time code is not good").waitFor();
      assert.equal(await card.getByLabel("One-time code").getAttribute("aria-invalid"), "true");
      await card.getByLabel("One-time code").fill(totp(secret, Date.parse(await now(ready))));
      await card.getByRole("button", { name: "Confirm" }).click();
      const list = card.getByRole("list", { name: "Recovery codes" });
      await list.waitFor();
      codes = await list.getByRole("listitem").allInnerTexts();
      assert.equal(new Set(codes).size, 10);
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "totp-recovery.png"), fullPage: true });
      await card.getByRole("button", { name: "I have kept them" }).click();
      await card.getByText("Set up", { exact: true }).waitFor();
      await page.reload();
      await settled(page);
      await card.getByText("Set up", { exact: true }).waitFor();
      assert.ok(!(await page.content()).includes(codes[0]), "they are shown once");
      await page.screenshot({ path: join(shots, "totp-done.png"), fullPage: true });
    });
  });

  await step("a recovery code opens the door once", async () => {
    const enter = async (code) => {
      const { page, context } = await open(browser);
      await page.goto(`${url}/sign-in`);
      await page.getByLabel("Organisation").fill(tenant.slug);
      await page.getByLabel("E-mail").fill(auditor.email);
      await page.getByRole("textbox", { name: "Password" }).fill(auditor.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByLabel("One-time code").fill(code);
      await page.getByRole("button", { name: "Sign in" }).click();
      const inside = page.locator("#rail");
      await Promise.race([inside.waitFor({ state: "attached" }), page.getByRole("alert").waitFor()]);
      const entered = (await inside.count()) > 0;
      await context.close();
      return entered;
    };
    assert.equal(await enter(codes[0]), true);
    assert.equal(await enter(codes[0]), false);
    assert.equal(await enter(codes[1]), true);
  });
}
