import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { byPolicy, withStatus } from "../../src/pages/policies/import-report";
import { calls, show } from "./stage";

afterEach(() => vi.unstubAllGlobals());

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const policy = (name: string, status?: string) => ({ name, type: "privilege_elevation", controls: ["mfa"], users: ["*"], machines: ["*"], applications: ["path:/opt/*"], status });

async function read(policies: unknown[]) {
  const stage = show("/policies/import");
  fireEvent.change(await screen.findByLabelText(/Or its text/), { target: { value: JSON.stringify(policies) } });
  press("Read it");
  await screen.findByRole("heading", { name: "What would happen" });
  return stage;
}

describe("an import of policies", () => {
  it("writes nothing by reading, and nothing at all while something is refused", async () => {
    const stage = await read([policy("Good", "enforce"), policy("Bad")]);
    expect(screen.getByText("Missing field")).toBeTruthy();
    expect((screen.getByRole("button", { name: "Import 1 policy" }) as HTMLButtonElement).disabled).toBe(true);
    expect(calls(stage, "ImportPolicy")).toEqual([]);
  });

  it("writes what is good once somebody says so, collections first, with the status that was chosen", async () => {
    const stage = await read([policy("Good", "enforce"), policy("Bad")]);
    fireEvent.click(screen.getByLabelText("Import what is good although something is refused"));
    fireEvent.change(screen.getByLabelText("Status of the new policies"), { target: { value: "monitor" } });
    press("Import 1 policy");
    await screen.findByText("2 of 2 written");
    expect(stage.sent.map((call) => call.operation).filter((name) => name.startsWith("Import"))).toEqual(["ImportCollection", "ImportPolicy"]);
    expect(calls(stage, "ImportPolicy")[0]?.variables.input).toMatchObject({ document: { name: "Good", status: "monitor" }, comment: "Imported from pasted text" });
    expect(screen.getByRole("link", { name: "Good" }).getAttribute("href")).toMatch(/^\/policies\/pol_new/);
  });

  it("stops at a lost connection, and goes on where it stopped with the same key", async () => {
    const stage = await read([policy("One", "off"), policy("Two", "off")]);
    stage.down.now = true;
    press("Import 2 policies");
    await screen.findByText(/could not be reached/);
    stage.down.now = false;
    press("Go on");
    await screen.findByText("3 of 3 written");
    await waitFor(() => expect(calls(stage, "ImportPolicy").length).toBe(2));
    expect(calls(stage, "ImportCollection").length).toBe(1);
  });

  it("names what is refused after all, and writes the rest", async () => {
    const stage = await read([policy("One", "off")]);
    stage.refuse.createPolicy = { code: "POLICY_REFUSED", problems: [{ field: "document.exception", code: "FORBIDDEN", message: "an exception is saved by owners only" }] };
    press("Import 1 policy");
    await screen.findByText("1 of 2 written");
    expect(screen.getByText(/One: exception: An exception is saved by owners only/)).toBeTruthy();
  });

  it("keeps remarks by policy, and gives least privilege no monitoring", () => {
    const remark = (of: string, field: string) => ({ policy: of, field, message: "m" });
    expect(byPolicy([remark("a", "x"), remark("b", "y"), remark("a", "z")]).map(([name, all]) => [name, all.length])).toEqual([["a", 2], ["b", 1]]);
    expect(withStatus({ type: "least_privilege", status: "enforce" }, "monitor").status).toBe("off");
    expect(withStatus({ type: "file_access", status: "enforce" }, "").status).toBe("enforce");
  });
});
