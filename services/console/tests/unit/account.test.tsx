import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { browserOf } from "../../src/pages/account/sessions";
import { methodOf } from "../../src/parts/tags";
import { show } from "./stage";

afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
});

const type = (label: string | RegExp, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });
const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const isDisabled = (name: string) => (screen.getByRole("button", { name }) as HTMLButtonElement).disabled;

describe("one's own account", () => {
  it("changes the password with the present one, and says which one was wrong", async () => {
    const stage = show("/account");
    await screen.findByRole("region", { name: "Password" });
    type(/^Present password/, "wrong");
    type(/^New password\s*\*?$/, "a long enough one");
    type(/^New password, once more/, "a long enough on");
    expect(isDisabled("Change password")).toBe(true);
    type(/^New password, once more/, "a long enough one");
    press("Change password");
    await screen.findByText("That is not your present password");
    type(/^Present password/, "right");
    press("Change password");
    await screen.findByText(/Your password is changed/);
    expect(stage.doors.at(-1)).toEqual({ call: "POST /auth/password", body: { oldPassword: "right", newPassword: "a long enough one" } });
  });

  it("lists sessions, and ends one that is not this one after asking", async () => {
    const stage = show("/account");
    const table = await screen.findByRole("table", { name: "Your sessions, newest first" });
    expect(within(table).getByText("Chrome on Linux").parentElement?.textContent).toContain("This one");
    expect(within(table).getAllByRole("button").length).toBe(1);
    press("End the session of Firefox on Windows");
    expect(stage.doors.some((door) => door.call.startsWith("DELETE"))).toBe(false);
    press("End it");
    await waitFor(() => expect(screen.queryByText("Firefox on Windows")).toBeNull());
    expect(stage.doors.map((door) => door.call)).toContain("DELETE /auth/sessions/ses_2");
  });

  it("shows the recovery codes once the authenticator app is confirmed", async () => {
    show("/account", { viewer: 1 });
    const card = await screen.findByRole("region", { name: "Second factor" });
    fireEvent.click(within(card).getByRole("button", { name: "Set up" }));
    fireEvent.change(await screen.findByLabelText(/^One-time code/), { target: { value: "123456" } });
    press(/^Confirm$/);
    const codes = await screen.findByRole("list", { name: "Recovery codes" });
    expect(within(codes).getAllByRole("listitem").map((item) => item.textContent)).toEqual(["1111-2222", "3333-4444"]);
    press("I have kept them");
    expect(screen.queryByText("1111-2222")).toBeNull();
  });
});

describe("a session that ended", () => {
  it("in another tab ends here too", async () => {
    const stage = show("/policies");
    await screen.findByRole("heading", { name: "Policies", level: 1 });
    stage.endSession();
    await act(async () => {
      const other = new BroadcastChannel("portcullis.session");
      other.postMessage("changed");
      await new Promise((done) => setTimeout(done, 20));
      other.close();
    });
    await screen.findByRole("heading", { name: "Sign in to Portcullis" });
  });

  it("elsewhere shows the door at the next call", async () => {
    const stage = show("/requests");
    await screen.findByRole("table", { name: "Requests" });
    stage.endSession();
    fireEvent.change(screen.getByLabelText("Status"), { target: { value: "closed" } });
    await screen.findByRole("heading", { name: "Sign in to Portcullis" });
  });
});

describe("sessions in words", () => {
  it("name the browser and the system", () => {
    expect(browserOf("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15")).toBe("Safari on macOS");
    expect(browserOf("curl/8.5")).toBe("A program");
    expect(browserOf(null)).toBe("Unknown browser");
  });
  it("say how they began", () => {
    expect(methodOf("password+totp")).toBe("Password and one-time code");
    expect(methodOf("something_new")).toBe("Something new");
  });
});

describe("a lost password", () => {
  it("is chosen anew with the second factor, where the account has one", async () => {
    const stage = show("/password-reset/some-token", { signedIn: false });
    await screen.findByRole("heading", { name: "Choose a new password" });
    type(/^Password \*|^Password$/, "a moat without a bridge");
    type(/^Password, once more/, "a moat without a bridge");
    press("Set password");
    await screen.findByText(/second factor. It is needed here too/);
    type(/^One-time code/, "123456");
    press("Set password");
    await screen.findByText("Your password is set");
    const sent = stage.doors.filter((door) => door.call === "POST /auth/password-reset/confirm").map((door) => door.body.code);
    expect(sent).toEqual([undefined, "123456"]);
  });
});
