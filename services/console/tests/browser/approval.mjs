/** The page behind the link of a mail, in all its states, without JavaScript. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { axe, LONGEST, sticksOut } from "./browser.mjs";
import { advance, graphql, linkFor, machine, now } from "./outside.mjs";
import { totp } from "./totp.mjs";

const sizes = [
  ["phone", { width: 360, height: 780 }],
  ["desk", { width: 1280, height: 900 }],
];

/** Text that would be markup, and letters that nobody sees. */
const hostile = "report <img src=x onerror=alert(1)>\u202Efdp.exe";

export async function approvalPage({ browser, ready, neighbour: tenant, step, shots }) {
  const approver = tenant.users.find((user) => user.roles.includes("approver"));
  const erin = await machine(ready, tenant, "WS-<i>9</i>");

  /** A page without scripts for one step. */
  const visit = async (link, size, work) => {
    const context = await browser.newContext({ viewport: size, javaScriptEnabled: false, reducedMotion: "reduce" });
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(LONGEST);
      const answer = await page.goto(link);
      return await work(page, answer);
    } finally {
      await context.close();
    }
  };

  /** The page as it stands is whole, has its landmarks and offends no reader; axe itself needs scripts, so it looks at a copy. */
  const sound = async (page, name) => {
    const markup = await page.content();
    await page.screenshot({ path: join(shots, `approve-${name}.png`), fullPage: true });
    assert.equal(/<script| style="| on[a-z]+="/.exec(markup)?.[0], undefined, `${name}: inline code`);
    assert.equal(await page.getByRole("main").count(), 1);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
    const style = await (await fetch(`${ready.url}/approve/style.css`)).text();
    const copy = await browser.newContext({ viewport: page.viewportSize() });
    try {
      const looked = await copy.newPage();
      await looked.setContent(markup.replace(/<link rel="stylesheet"[^>]*>/, `<style>${style}</style>`));
      for (const colorScheme of ["light", "dark"]) {
        await looked.emulateMedia({ colorScheme });
        assert.deepEqual(await axe(looked), [], `${name}, ${colorScheme}`);
      }
      assert.deepEqual(await sticksOut(looked), [], `${name} is wider than the window`);
    } finally {
      await copy.close();
    }
  };

  const state = async (page, title) => page.getByRole("heading", { level: 1, name: title }).waitFor();
  const code = async () => totp(approver.totpSecret, Date.parse(await now(ready)));

  await step("the approval page shows the whole action, escaped, and names what is wrong at its field", async () => {
    const link = await linkFor(ready, await erin.asks(hostile, "For the quarter\nsecond line"), approver.email);
    for (const [size, viewport] of sizes) {
      await visit(link, viewport, async (page) => {
        await state(page, "A request waits for your decision");
        const text = await page.getByRole("main").innerText();
        assert.ok(text.includes("<img src=x onerror=alert(1)>") && text.includes("U+202E") && text.includes("CN=Contoso & <Sons>"));
        await sound(page, `open-${size}`);
        await page.getByLabel(/^One-time code of/).fill("000000");
        await page.getByLabel("Uses").fill("0");
        await page.getByRole("button", { name: "Approve", exact: true }).click();
        const uses = page.getByLabel("Uses");
        assert.equal(await uses.getAttribute("aria-invalid"), "true");
        assert.match(String(await uses.getAttribute("aria-describedby")), /uses-error/);
        await sound(page, `wrong-number-${size}`);
      });
    }
    await visit(link, sizes[0][1], async (page) => {
      await page.getByLabel(/^One-time code of/).fill("000000");
      await page.getByLabel("Comment").fill("Looks right");
      await page.getByRole("button", { name: "Approve", exact: true }).click();
      assert.equal(await page.getByLabel(/^One-time code of/).getAttribute("aria-invalid"), "true");
      assert.equal(await page.getByLabel("Comment").inputValue(), "Looks right", "what was written stays");
      await sound(page, "wrong-code");
      await page.getByLabel(/^One-time code of/).fill(await code());
      await page.getByLabel("Minutes").fill("30");
      await page.getByRole("button", { name: "Approve", exact: true }).click();
      await state(page, "This request was approved");
      assert.match(await page.getByRole("main").innerText(), /Approved by Demo Approver .*, \d+ \w+ \d{4}, \d\d:\d\d UTC \(.* ago\)/);
      const said = await page.getByRole("region", { name: "Decisions so far" }).innerText();
      assert.ok(said.includes("agreed to 30 minutes") && said.includes("Looks right"), said);
      assert.equal(await page.locator("form").count(), 0);
      await sound(page, "approved");
    });
  });

  await step("on the approval page one signs in and denies with a reason", async () => {
    await advance(ready, 31_000);
    const link = await linkFor(ready, await erin.asks("game.exe", "For the lunch break"), approver.email);
    await visit(link, sizes[0][1], async (page) => {
      await page.getByLabel("Password").fill("not the password");
      await page.getByRole("button", { name: "Sign in" }).click();
      assert.equal(await page.getByLabel("Password").getAttribute("aria-invalid"), "true");
      await page.getByLabel("Password").fill(approver.password);
      await page.getByLabel("One-time code", { exact: true }).fill(await code());
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText(`Signed in as ${approver.email}`).waitFor();
      await sound(page, "signed-in");
      await page.getByLabel("Comment").fill("Not on a company machine");
      await page.getByRole("button", { name: "Deny", exact: true }).click();
      await state(page, "This request was denied");
      await sound(page, "denied");
    });
  });

  await step("the approval page says when it is not one's own, when time is over, and when a link leads nowhere", async () => {
    const link = await linkFor(ready, await erin.asks("late.exe", "Nobody will answer this"), approver.email);
    const { users } = await graphql(ready, tenant, "query($search: String!) { users(search: $search, first: 1) { nodes { id } } }", { search: approver.email });
    const input = { userId: users.nodes[0].id, roles: ["MEMBER"] };
    await graphql(ready, tenant, "mutation($input: ChangeUserRolesInput!) { changeUserRoles(input: $input) { position } }", { input });
    await visit(link, sizes[0][1], async (page) => {
      await state(page, "This request is not yours to decide");
      assert.ok(!(await page.getByRole("main").innerText()).includes("late.exe"), "the action is shown to who may not decide");
      await sound(page, "not-yours");
    });
    await advance(ready, 6 * 3_600_000);
    await visit(link, sizes[0][1], async (page) => {
      await state(page, "The time to decide is over");
      await sound(page, "expired");
    });
    await visit(`${link.slice(0, -4)}0000`, sizes[0][1], async (page, answer) => {
      assert.equal(answer.status(), 404);
      await state(page, "This link leads nowhere");
      await sound(page, "nowhere");
    });
  });
}
