/** Choosing from lists of which no page shows everything. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, settled, sticksOut } from "./browser.mjs";
import { fleet, graphql, machine, provision } from "./outside.mjs";

/** More than the server gives at once. */
const MANY = 205;

const LAST = "Zoe Zimmermann";

export async function pickers({ ready, url, neighbour: tenant, step, as, shots }) {
  const owner = tenant.users.find((user) => user.roles.includes("owner"));

  await step("people, collections and endpoints are found where there are more than two hundred", async () => {
    const numbers = Array.from({ length: MANY }, (_, index) => String(index).padStart(3, "0"));
    const four = (work) => Promise.all([0, 1, 2, 3].map(async (which) => {
      for (const number of numbers.filter((_, index) => index % 4 === which)) await work(number);
    }));
    const create = "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { position } }";
    const collection = (name) => graphql(ready, tenant, create, { input: { name, kind: "MACHINES", members: ["machine:WS-*"] } });
    await four((number) => provision(ready, tenant, `many${number}@${tenant.slug}.test`, `Many ${number}`));
    await provision(ready, tenant, `zoe@${tenant.slug}.test`, LAST);
    await four((number) => collection(`many-${number}`));
    await collection("zz-laboratory");
    await fleet(ready, tenant, "many", MANY);
    await (await machine(ready, tenant, "zz-workstation")).asks("printer.exe", "For the laboratory", "LAB\\zoe");

    await as(tenant, owner, {}, async (page) => {
      const dialog = page.getByRole("dialog");
      const list = (label) => dialog.getByRole("listbox", { name: label });
      const find = async (label, text, name = text) => {
        await dialog.getByRole("combobox", { name: label }).fill(text);
        await list(label).getByRole("option", { name }).click();
      };
      const chosen = (where, name) => where.locator(".mantine-MultiSelect-pill").getByText(name, { exact: true });

      await page.goto(`${url}/people/teams`);
      await settled(page);
      await page.getByRole("button", { name: "New team" }).first().click();
      await dialog.getByLabel("Name").fill("Laboratory");
      await dialog.getByRole("combobox", { name: "Members" }).click();
      const options = list("Members").getByRole("option");
      await options.filter({ hasText: "Many 000" }).waitFor();
      assert.equal(await options.filter({ hasText: LAST }).count(), 0, "the first page has everybody");
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "picker.png") });
      // By the keyboard alone: search, choose, go on.
      await page.keyboard.type("zimmer");
      await options.filter({ hasText: "Many 000" }).waitFor({ state: "hidden" });
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await chosen(dialog, LAST).waitFor();
      // Page by page to the end; what was chosen keeps its name.
      for (let shown = 50; shown < MANY; shown += 50) {
        await options.nth(shown - 1).waitFor({ state: "attached" });
        await options.filter({ hasText: "Show more" }).click();
      }
      await options.filter({ hasText: LAST }).waitFor({ state: "attached" });
      assert.equal(await options.filter({ hasText: "Show more" }).count(), 0);
      await page.setViewportSize({ width: 360, height: 780 });
      assert.deepEqual(await sticksOut(page), []);
      await page.screenshot({ path: join(shots, "phone-picker.png") });
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.keyboard.press("Escape");
      await dialog.getByRole("button", { name: "Save team" }).click();
      await dialog.waitFor({ state: "hidden" });
      await page.getByRole("button", { name: "Edit Laboratory" }).click();
      await chosen(dialog, LAST).waitFor();
      await page.keyboard.press("Escape");

      await page.goto(`${url}/approval-rules`);
      await settled(page);
      await page.getByRole("button", { name: "New rule" }).first().click();
      await dialog.getByLabel("Name").fill("The laboratory's machines");
      await find("Collections", "zz-lab", "zz-laboratory");
      await find("First asked", "laboratory", "Laboratory");
      await find("First asked", LAST);
      await dialog.getByRole("button", { name: "Save rule" }).click();
      await dialog.waitFor({ state: "hidden" });
      const rule = page.getByRole("region", { name: /The laboratory's machines/ });
      await rule.getByText(`${LAST}, team Laboratory`).waitFor();
      await rule.getByText("zz-laboratory").waitFor();
      await page.getByRole("button", { name: "Edit The laboratory's machines" }).click();
      for (const name of [LAST, "Laboratory", "zz-laboratory"]) await chosen(dialog, name).waitFor();
      await page.keyboard.press("Escape");

      await page.goto(`${url}/settings`);
      await settled(page);
      const approvers = page.getByRole("combobox", { name: "Default approvers" });
      await approvers.fill(LAST);
      await page.getByRole("option", { name: LAST }).click();
      await page.getByRole("button", { name: "Save settings" }).click();
      await page.getByText("The settings are saved").waitFor();
      await page.reload();
      await settled(page);
      await chosen(page, LAST).waitFor();

      await page.goto(`${url}/people?q=${encodeURIComponent(LAST)}`);
      await settled(page);
      await page.getByRole("button", { name: `Open ${LAST}` }).click();
      await find("Endpoint", "zz-work", "zz-workstation");
      await dialog.getByRole("button", { name: "LAB\\zoe" }).click();
      await dialog.getByRole("button", { name: "Link", exact: true }).click();
      await dialog.getByRole("link", { name: "zz-workstation" }).waitFor();
      assert.deepEqual(await axe(page), []);
    });
  });
}
