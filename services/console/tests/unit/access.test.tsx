import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { scimTokenState } from "../../src/pages/settings/scim-tokens";
import { calls, show } from "./stage";

afterEach(() => vi.unstubAllGlobals());

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

describe("a decision where the organisation wants a fresh second factor", () => {
  it("asks for it, then goes on with what was written", async () => {
    const stage = show("/requests/req_01k9zq3v5teh2b7c8d9e0f0001");
    await screen.findByRole("region", { name: "The whole action" });
    stage.refuse.approve = { code: "STEP_UP_NEEDED", message: "prove again who you are", methods: ["totp"] };
    fireEvent.change(screen.getByLabelText("Comment"), { target: { value: "Known printer" } });
    press("Approve");
    fireEvent.change(await screen.findByLabelText(/One-time code/), { target: { value: "123456" } });
    delete stage.refuse.approve;
    press("Go on");
    await screen.findByRole("region", { name: "Grant" });
    expect(stage.doors.filter((door) => door.call === "POST /auth/step-up")).toEqual([{ call: "POST /auth/step-up", body: { code: "123456" } }]);
    expect(calls(stage, "Approve").map((call) => (call.variables.input as { comment: string }).comment)).toEqual(["Known printer", "Known printer"]);
  });

  it("sends who has none to their account", async () => {
    const stage = show("/requests/req_01k9zq3v5teh2b7c8d9e0f0001");
    await screen.findByRole("region", { name: "The whole action" });
    stage.refuse.approve = { code: "STEP_UP_NEEDED", message: "set one up first", methods: [] };
    press("Approve");
    expect((await screen.findByRole("link", { name: /Set one up/ })).getAttribute("href")).toBe("/account");
  });

  it("is a setting", async () => {
    const stage = show("/settings");
    fireEvent.click(await screen.findByLabelText(/^Deciding needs a second factor given anew/));
    press("Save settings");
    await waitFor(() => expect(calls(stage, "ChangeSettings")[0]?.variables).toEqual({ input: { requireSecondFactorToDecide: true } }));
  });
});

describe("another user's access", () => {
  const open = async (name: string) => {
    const stage = show("/people");
    await screen.findByRole("table", { name: "Users" });
    press(`Open ${name}`);
    return stage;
  };

  it("loses passkeys only after a second question", async () => {
    const stage = await open("Approver Two");
    press("Take passkeys away…");
    expect(calls(stage, "ResetPasskeys")).toEqual([]);
    press("Take them away");
    await waitFor(() => expect(calls(stage, "ResetPasskeys")[0]?.variables).toEqual({ input: { userId: stage.world.users[1]?.id } }));
    await waitFor(() => expect(screen.queryByRole("button", { name: "Take passkeys away…" })).toBeNull());
  });

  it("is unlinked from identity providers where there are some", async () => {
    const stage = await open("Approver Two");
    fireEvent.click(await screen.findByRole("button", { name: "Unlink from identity providers…" }));
    press("Unlink");
    await waitFor(() => expect(calls(stage, "UnlinkIdentities").length).toBe(1));
  });
});

describe("provisioning", () => {
  it("shows a token's secret once", async () => {
    show("/settings/provisioning");
    fireEvent.click(await screen.findByRole("button", { name: "Issue a token" }));
    fireEvent.change(screen.getByLabelText(/^Name/), { target: { value: "Entra" } });
    press("Issue token");
    await screen.findByText("pct_scim_shown_this_once");
    press("Done");
    await screen.findByText("Entra");
    expect(screen.queryByText("pct_scim_shown_this_once")).toBeNull();
  });

  it("rotates a token with an overlap", async () => {
    const stage = show("/settings/provisioning");
    fireEvent.click(await screen.findByRole("button", { name: "Rotate Directory" }));
    fireEvent.change(screen.getByLabelText("The old one stays good for"), { target: { value: "72" } });
    press("Rotate token");
    await screen.findByText("pct_scim_in_its_place");
    expect(calls(stage, "RotateScimToken")[0]?.variables.input).toMatchObject({ scimTokenId: stage.world.scimTokens[1]?.id, overlapHours: 72 });
  });

  it("says what a token is good for", () => {
    const token = { revokedAt: null, expiresAt: null, replacedById: null };
    expect(scimTokenState(token, 0)).toBe("Valid");
    expect(scimTokenState({ ...token, replacedById: "stk_2" }, 0)).toBe("Being replaced");
    expect(scimTokenState({ ...token, replacedById: "stk_2", expiresAt: "1970-01-01T00:00:00Z" }, 0)).toBe("Expired");
    expect(scimTokenState({ ...token, revokedAt: "1970-01-01T00:00:00Z" }, 0)).toBe("Revoked");
  });

  it("lists the users that the provider keeps", async () => {
    const stage = show("/settings/provisioning");
    const table = await screen.findByRole("table", { name: "Provisioned users" });
    expect(table.textContent).toContain(String(stage.world.users[4]?.name));
    expect(table.textContent).not.toContain(String(stage.world.users[0]?.name));
    fireEvent.change(screen.getByLabelText("Search provisioned users"), { target: { value: "nobody of this name" } });
    await screen.findByText("Nobody fits this search");
    expect(calls(stage, "ProvisionedUsers").at(-1)?.variables).toMatchObject({ search: "nobody of this name" });
  });
});
