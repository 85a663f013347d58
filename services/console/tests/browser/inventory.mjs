/** A collection that is filled from what endpoints report. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, settled, sticksOut } from "./browser.mjs";

export async function inventory({ url, tenant, admin, step, as, shots }) {
  const openPicker = async (page, name) => {
    await page.goto(`${url}/collections`);
    await settled(page);
    await page.getByRole("button", { name: "New collection" }).first().click();
    const form = page.getByRole("dialog", { name: "New collection" });
    await form.getByLabel("Name").fill(name);
    await form.getByRole("button", { name: "Add from inventory…" }).click();
    const picker = page.getByRole("dialog", { name: "Add from inventory" });
    await picker.getByRole("table").waitFor();
    return { form, picker };
  };

  await step("a collection is filled from the programs that endpoints report", async () => {
    await as(tenant, admin, {}, async (page) => {
      const { form, picker } = await openPicker(page, "Profilers");
      await page.waitForFunction(() => document.getAnimations().length === 0);
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "inventory.png") });
      // By the keyboard alone: search, choose, add.
      await picker.getByLabel("Search").fill("profiler");
      await picker.getByRole("checkbox", { name: "demo-archiver", exact: true }).waitFor({ state: "hidden" });
      const program = picker.getByRole("checkbox", { name: "Demo Profiler", exact: true });
      await program.focus();
      await page.keyboard.press("Space");
      await picker.getByText("1 program chosen").waitFor();
      await picker.getByLabel("Deployment group").selectOption({ label: "Pilot ring" });
      await picker.getByRole("checkbox", { name: "demo-profiler", exact: true }).waitFor({ state: "hidden" });
      assert.ok(await program.isChecked(), "it stays chosen");
      await picker.getByRole("button", { name: "Add 1 member" }).focus();
      await page.keyboard.press("Enter");
      await picker.waitFor({ state: "hidden" });
      assert.equal(await form.getByLabel("Members").inputValue(), "path:C:\\Tools\\Profiler\\profiler.exe");
      // Escape closes the picker alone.
      await form.getByRole("button", { name: "Add from inventory…" }).click();
      await picker.getByText("Member already").waitFor();
      await page.keyboard.press("Escape");
      await picker.waitFor({ state: "hidden" });
      assert.equal(await form.getByLabel("Name").inputValue(), "Profilers");
      await form.getByRole("button", { name: "Save collection" }).click();
      await form.waitFor({ state: "hidden" });
      const row = page.getByRole("row").filter({ hasText: "Profilers" });
      await row.getByText("path:C:\\Tools\\Profiler\\profiler.exe").waitFor();
    });
  });

  await step("the picker is whole on a phone", async () => {
    await as(tenant, admin, { width: 360, height: 780 }, async (page) => {
      const { picker } = await openPicker(page, "On a phone");
      assert.deepEqual(await axe(page), []);
      assert.deepEqual(await sticksOut(page), []);
      await page.screenshot({ path: join(shots, "phone-inventory.png") });
      await picker.getByRole("button", { name: "Back" }).click();
    });
  });
}
