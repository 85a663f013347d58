/** A revision that goes to one deployment group first, and is taken back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, settled } from "./browser.mjs";
import { graphql } from "./outside.mjs";

const name = "Restarting services";
const QUERY = "{ policies(first: 50) { nodes { id name revision riskLevel stagedRevision { number } } } deploymentGroups { name stagedPolicies { name } } }";

export async function rollout({ ready, url, tenant, admin, step, as, shots }) {
  const known = async () => {
    const { policies, deploymentGroups } = await graphql(ready, tenant, QUERY);
    return { policy: policies.nodes.find((policy) => policy.name === name), groups: deploymentGroups };
  };

  await step("a revision is staged to one group, withdrawn, and the live one is back", async () => {
    const before = (await known()).policy;
    await as(tenant, admin, {}, async (page) => {
      await page.goto(`${url}/policies/${before.id}/edit`);
      await settled(page);
      await page.getByText("JSON", { exact: true }).click();
      const editor = page.getByLabel("Policy document");
      const document = JSON.parse(await editor.inputValue());
      const edited = JSON.stringify({ ...document, riskLevel: 77 }, null, 2);
      await editor.fill(edited);
      await page.getByLabel("Comment").fill("Try it with the pilots");
      await page.getByRole("checkbox", { name: /^Pilot ring/ }).check();
      await page.getByRole("button", { name: "Stage revision" }).click();
      const note = page.getByText(`Revision ${before.revision + 1} is staged`);
      await note.waitFor();
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "revision-staged.png"), fullPage: true });
      const staged = await known();
      assert.deepEqual(staged.policy, { ...before, stagedRevision: { number: before.revision + 1 } }, "all others keep the live one");
      assert.deepEqual(staged.groups.filter((group) => group.stagedPolicies.length > 0).map((group) => group.name), ["Pilot ring"]);

      await page.getByRole("link", { name: "Compare, promote or withdraw" }).click();
      const row = page.getByRole("row").filter({ hasText: "Try it with the pilots" });
      await row.getByText("to Pilot ring").waitFor();
      await page.screenshot({ path: join(shots, "revision-staged-list.png"), fullPage: true });
      await row.getByRole("button", { name: "Withdraw" }).click();
      const dialog = page.getByRole("dialog", { name: "Withdraw this revision?" });
      await dialog.getByLabel("Comment").fill("It stopped a nightly job");
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "revision-withdraw.png") });
      await dialog.getByRole("button", { name: "Withdraw" }).click();
      await dialog.waitFor({ state: "hidden" });
      await row.getByText("Withdrawn").waitFor();
      assert.equal(await row.getByRole("button").count(), 0, "nothing is left to do with it");
      await page.getByRole("row").filter({ hasText: "Current" }).waitFor();
      await page.screenshot({ path: join(shots, "revision-withdrawn.png"), fullPage: true });
      await page.getByRole("link", { name: "What it says" }).click();
      await note.waitFor({ state: "hidden" });
      // The next change begins from the live one.
      await page.getByRole("link", { name: "Edit", exact: true }).click();
      await page.getByText("JSON", { exact: true }).click();
      assert.deepEqual(JSON.parse(await editor.inputValue()), document);
      const after = await known();
      assert.deepEqual(after.policy, before);
      assert.ok(after.groups.every((group) => group.stagedPolicies.length === 0));
      await page.goto(`${url}/audit?subject=${before.id}`);
      await page.getByText("PolicyRevisionWithdrawn", { exact: true }).first().waitFor();
    });
  });
}
