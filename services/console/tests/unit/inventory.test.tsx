import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { calls, show, type Stage } from "./stage";

afterEach(() => vi.unstubAllGlobals());

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const tick = (name: RegExp) => fireEvent.click(screen.getByRole("checkbox", { name }));
const picker = () => within(screen.getByRole("dialog", { name: "Add from inventory" }));
const set = (label: string, value: string) => fireEvent.change(picker().getByLabelText(label), { target: { value } });

async function pick(kind?: string, prepare?: (stage: Stage) => void): Promise<Stage> {
  const stage = show("/collections");
  prepare?.(stage);
  await screen.findByRole("table", { name: "Collections" });
  press("New collection");
  const form = within(screen.getByRole("dialog", { name: "New collection" }));
  fireEvent.change(form.getByLabelText(/Name/), { target: { value: "Picked" } });
  if (kind) fireEvent.change(form.getByLabelText("Kind"), { target: { value: kind } });
  press("Add from inventory…");
  await waitFor(() => expect(document.querySelector(".bones")).toBeNull());
  return stage;
}

describe("a collection from endpoints' inventory", () => {
  it("takes several programs at once, by path, and saves them with what was typed", async () => {
    const stage = await pick();
    expect(screen.getByRole("button", { name: "Add members" })).toHaveProperty("disabled", true);
    tick(/^Archiver/);
    tick(/^Packager/);
    expect(picker().getByRole("status").textContent).toBe("2 programs chosen");
    press("Add 2 members");
    press("Save collection");
    await waitFor(() => expect(calls(stage, "CreateCollection").length).toBe(1));
    expect(calls(stage, "CreateCollection")[0]?.variables).toEqual({
      input: { name: "Picked", kind: "APPLICATIONS", members: ["path:C:\\Program Files\\Archiver\\archiver.exe", "path:/opt/packager/run"] },
    });
  });

  it("keeps what was chosen while one searches on, and takes each hash of a program", async () => {
    const stage = await pick();
    tick(/^Archiver/);
    set("Search", "pack");
    await waitFor(() => expect(screen.queryByRole("checkbox", { name: /^Archiver/ })).toBeNull());
    expect(calls(stage, "Inventory").at(-1)?.variables).toMatchObject({ kind: "APPLICATIONS", search: "pack" });
    set("Add them by", "SHA256");
    expect(screen.getByRole("checkbox", { name: /^Packager/ })).toHaveProperty("disabled", true);
    screen.getByText("No hash reported");
    press("Add 2 members");
    const members = screen.getByLabelText("Members", { exact: false }) as HTMLTextAreaElement;
    expect(members.value.split("\n").every((line) => line.startsWith("sha256:"))).toBe(true);
    press("Add from inventory…");
    await screen.findByRole("checkbox", { name: /^Archiver/ });
    set("Add them by", "SHA256");
    screen.getByText("Member already");
    expect(screen.getByRole("checkbox", { name: /^Archiver/ })).toHaveProperty("disabled", true);
  });

  it("offers no program that no pattern names", async () => {
    await pick();
    expect(screen.getByRole("checkbox", { name: /^Unnamed/ })).toHaveProperty("disabled", true);
    screen.getByText("No path that a pattern can name");
  });

  it.each([
    ["USERS", /^CORP\\helpdesk/, "user:CORP\\helpdesk"],
    ["MACHINES", /^build-03/, "machine:build-03"],
  ])("offers what fits a collection of %s", async (kind, name, member) => {
    await pick(kind);
    expect(screen.queryByLabelText("Add them by")).toBeNull();
    tick(name);
    press("Add 1 member");
    expect((screen.getByLabelText("Members", { exact: false }) as HTMLTextAreaElement).value).toBe(member);
  });

  it("says what to do where nothing was reported, and how to see all where nothing fits", async () => {
    await pick("USERS", (stage) => void (stage.world.inventory.USERS = []));
    screen.getByText("No endpoint has reported any");
    expect(screen.getByRole("link", { name: "Register a machine" }).getAttribute("href")).toBe("/endpoints/groups");
    set("System", "MACOS");
    await screen.findByText("No account fits");
    press("Clear filters");
    await screen.findByText("No endpoint has reported any");
  });
});
