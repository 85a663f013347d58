/** An import from a file, from the report to the new policies. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, settled, sticksOut } from "./browser.mjs";

const theirs = [
  {
    PolicyName: "Imported in the browser test", PolicyType: "PrivilegeElevation", Status: "enforce", Controls: ["APPROVAL", "AUDIT"],
    Filters: { UserCheck: { Users: ["*"] }, MachineCheck: { Machines: ["*"] }, ApplicationCheck: { Applications: ["*"] } },
    Rules: [{ Operator: "And", Expressions: [{ Type: "UserCheck", Value: "CheckUser()" }] }],
  },
  { PolicyName: "Unknown kind", PolicyType: "Sandbox" },
];

export async function policyImport({ url, tenant, admin, step, as, shots }) {
  await step("policies of Keeper EPM are read with a report field by field, and imported in part", async () => {
    await as(tenant, admin, { width: 360, height: 780 }, async (page) => {
      await page.goto(`${url}/policies/import`);
      await settled(page);
      const file = { name: "keeper.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(theirs)) };
      await page.getByLabel("File", { exact: true }).setInputFiles(file);
      await page.getByRole("button", { name: "Read it" }).click();
      const refused = page.getByRole("region", { name: "One is refused" });
      await refused.getByText("PolicyType").waitFor();
      assert.ok(await page.getByRole("button", { name: "Import 1 policy" }).isDisabled(), "something is refused");
      assert.deepEqual(await axe(page), []);
      assert.deepEqual(await sticksOut(page), []);
      await page.screenshot({ path: join(shots, "policy-import-report.png"), fullPage: true });
      await page.getByLabel("Import what is good although something is refused").check();
      await page.getByLabel("Status of the new policies").selectOption("monitor");
      await page.getByRole("button", { name: "Import 1 policy" }).click();
      await page.getByRole("link", { name: theirs[0].PolicyName }).click();
      await page.getByRole("heading", { level: 1, name: theirs[0].PolicyName }).waitFor();
      await page.getByText("Monitor", { exact: true }).first().waitFor();
    });
  });
}
