/** Several requests decided at once, where one of them was settled meanwhile. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, settled, sticksOut } from "./browser.mjs";
import { graphql, machine } from "./outside.mjs";

export async function deciding({ ready, url, tenant, admin, step, as, shots }) {
  await step("requests are decided at once, and the one that was settled meanwhile is named", async () => {
    const agent = await machine(ready, tenant, "WS-020");
    const files = ["bulk-1.exe", "bulk-2.exe", "bulk-3.exe"];
    const ids = [];
    for (const file of files) ids.push(await agent.asks(file, "Needed for the release"));
    await as(tenant, admin, {}, async (page) => {
      await page.goto(`${url}/requests?q=bulk`);
      await settled(page);
      const choose = (file) => page.getByRole("checkbox", { name: new RegExp(`^Choose .*${file}`) });
      for (const file of files) await choose(file).check();
      await page.getByText("3 requests chosen").waitFor();
      await page.getByLabel("Comment for all of them").fill("Known tools");
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "bulk-chosen.png"), fullPage: true });
      const input = { requestId: ids[1], reason: "Not needed any more" };
      await graphql(ready, tenant, "mutation($input: CancelRequestInput!) { cancelRequest(input: $input) { position } }", { input });
      await page.getByRole("button", { name: "Approve 3" }).click();
      await page.getByText("2 done, 1 refused").waitFor();
      await page.getByRole("listitem").filter({ hasText: "bulk-2.exe" }).waitFor();
      await page.getByText("1 request chosen").waitFor();
      assert.deepEqual(await axe(page), []);
      await page.screenshot({ path: join(shots, "bulk-refused.png"), fullPage: true });
      await page.setViewportSize({ width: 360, height: 780 });
      assert.deepEqual(await sticksOut(page), []);
      await page.screenshot({ path: join(shots, "phone-bulk.png"), fullPage: true });
      await page.getByRole("button", { name: "Choose none" }).click();
      await page.getByText("1 request chosen").waitFor({ state: "hidden" });
      await page.goto(`${url}/requests/${ids[2]}`);
      await page.getByRole("region", { name: "Grant" }).waitFor();
      await page.getByRole("region", { name: "What happened" }).getByText("Known tools").waitFor();
      // The machine is the one that registered, and says what the server finds.
      assert.equal(await page.getByText("own evaluation differs").count(), 0);
    });
    const { requests } = await graphql(ready, tenant, "{ requests(first: 50) { nodes { id status flags { code } } } }");
    const stand = (id) => requests.nodes.find((request) => request.id === id).status;
    assert.deepEqual(ids.map(stand), ["APPROVED", "CANCELLED", "APPROVED"]);
    assert.deepEqual(requests.nodes.filter((request) => request.flags.some((flag) => flag.code === "AGENT_DIFFERS")), []);
  });
}
