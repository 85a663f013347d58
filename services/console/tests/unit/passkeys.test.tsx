import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bytesOf, textOf, usePasskey } from "../../src/session/passkeys";
import { show } from "./stage";

afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
});

/** A browser with a device that answers at once. */
function device(get: () => unknown) {
  vi.stubGlobal("PublicKeyCredential", class {});
  Object.defineProperty(navigator, "credentials", { configurable: true, value: { get: async () => get(), create: async () => get() } });
}

const buffer = (text: string) => new TextEncoder().encode(text).buffer;

describe("passkeys", () => {
  it("travel as base64url without padding", () => {
    expect(textOf(new Uint8Array([251, 255, 190, 0]).buffer)).toBe("-_--AA");
    expect([...bytesOf("-_--AA")]).toEqual([251, 255, 190, 0]);
  });

  it("answer a challenge in the form of the server", async () => {
    device(() => ({
      id: "YQ",
      rawId: buffer("a"),
      type: "public-key",
      response: { authenticatorData: buffer("b"), clientDataJSON: buffer("c"), signature: buffer("d"), userHandle: null },
    }));
    const answer = await usePasskey({ publicKey: { challenge: "YQ", allowCredentials: [{ id: "YQ", type: "public-key" }] } });
    expect(answer).toEqual({
      id: "YQ",
      rawId: "YQ",
      type: "public-key",
      clientExtensionResults: {},
      response: { authenticatorData: "Yg", clientDataJSON: "Yw", signature: "ZA", userHandle: null },
    });
  });

  it("that nobody touched are told in one sentence", async () => {
    device(() => null);
    await expect(usePasskey({ publicKey: { challenge: "YQ" } })).rejects.toThrow("No passkey was used");
  });

  it("are added only after who one is was proved anew", async () => {
    device(() => null);
    const stage = show("/account");
    const card = await screen.findByRole("region", { name: "Passkeys" });
    fireEvent.change(await within(card).findByLabelText(/^Name of a new passkey/), { target: { value: "Laptop" } });
    fireEvent.click(within(card).getByRole("button", { name: "Add passkey" }));
    fireEvent.change(await within(card).findByLabelText(/^Your password, once more/), { target: { value: "right" } });
    fireEvent.click(within(card).getByRole("button", { name: "Go on" }));
    await waitFor(() => expect(stage.doors.map((door) => door.call)).toContain("POST /auth/step-up"));
    expect(stage.doors.find((door) => door.call === "POST /auth/step-up")?.body).toEqual({ password: "right" });
    await within(card).findByText(/No passkey was used/);
  });
});
