import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { tokenState } from "../../src/pages/endpoints/token-table";
import { calls, show } from "./stage";

afterEach(() => vi.unstubAllGlobals());

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

describe("deployment groups", () => {
  it("hold a snapshot until somebody lets out the version that was shown", async () => {
    const stage = show("/endpoints/groups");
    await screen.findByText("A snapshot waits for a confirmation");
    press("Let it out…");
    press("Let it out");
    await waitFor(() => expect(screen.queryByText("A snapshot waits for a confirmation")).toBeNull());
    expect(calls(stage, "ConfirmSnapshot")[0]?.variables).toEqual({ input: { deploymentGroupId: stage.world.groups[0]?.id, version: 121 } });
  });

  it("replace a token in one act", async () => {
    const stage = show("/endpoints/groups");
    await screen.findByText("…a1b2c3");
    press("Replace …a1b2c3");
    press("Replace token");
    await screen.findByText("prt_shown_this_once");
    expect(stage.sent.map((call) => call.operation).filter((name) => /Token$/.test(name))).toEqual(["RotateRegistrationToken"]);
    press("Done");
    await waitFor(() => expect(screen.getAllByText("Revoked").length).toBe(2));
  });

  it("say what a token is good for", () => {
    const token = { revokedAt: null, expiresAt: null, maximumRegistrations: 2, registrations: 1 };
    expect(tokenState(token, 0)).toBe("Valid");
    expect(tokenState({ ...token, registrations: 2 }, 0)).toBe("Used up");
    expect(tokenState({ ...token, expiresAt: "1970-01-01T00:00:00Z" }, 0)).toBe("Expired");
    expect(tokenState({ ...token, revokedAt: "1970-01-01T00:00:00Z", registrations: 2 }, 0)).toBe("Revoked");
  });
});

describe("a user", () => {
  it("loses an account's link only after a second question", async () => {
    const stage = show("/people");
    const user = stage.world.users[4] as { name: string };
    await screen.findByRole("table", { name: "Users" });
    press(`Open ${user.name}`);
    press("Unlink CORP\\member5");
    expect(calls(stage, "UnlinkEndpointAccount")).toEqual([]);
    press("Unlink");
    await screen.findByText(/None is linked/);
  });

  it("keeps roles by teams out of those that are assigned", async () => {
    const stage = show("/people");
    const user = stage.world.users[1] as { name: string; roles: string[] };
    user.roles = ["APPROVER", "AUDITOR"];
    await screen.findByRole("table", { name: "Users" });
    press(`Open ${user.name}`);
    await screen.findByText("By teams");
    fireEvent.click(screen.getByRole("checkbox", { name: /^Member/ }));
    press("Change roles");
    await waitFor(() => expect(calls(stage, "ChangeUserRoles").length).toBe(1));
    expect(calls(stage, "ChangeUserRoles")[0]?.variables).toMatchObject({ input: { roles: ["APPROVER", "MEMBER"] } });
  });

  it("is disabled only after a second question", async () => {
    const stage = show("/people");
    await screen.findByRole("table", { name: "Users" });
    press(`Open ${String((stage.world.users[3] as { name: string }).name)}`);
    press("Disable…");
    expect(calls(stage, "DisableUser")).toEqual([]);
    press("Disable");
    await waitFor(() => expect(calls(stage, "DisableUser").length).toBe(1));
  });

  it("cannot be changed by an auditor", async () => {
    const stage = show("/people", { viewer: 2 });
    await screen.findByRole("table", { name: "Users" });
    press(`Open ${String((stage.world.users[4] as { name: string }).name)}`);
    const dialog = screen.getByRole("dialog");
    expect(within(dialog).getAllByRole("button").map((button) => button.getAttribute("aria-label"))).toEqual(["Close"]);
  });
});
