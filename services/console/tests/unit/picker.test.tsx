import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { calls, show } from "./stage";

afterEach(() => vi.unstubAllGlobals());

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

/** The form of a new team, where more people are to be found than the server gives at once. */
async function open() {
  const stage = show("/people/teams");
  const [first] = stage.world.users;
  for (let number = 0; number < 120; number++) stage.world.users.push({ ...first, id: `usr_many${number}`, name: `Many ${String(number).padStart(3, "0")}`, status: "ACTIVE" });
  await screen.findByRole("table", { name: "Teams" });
  press("New team");
  const field = screen.getByRole("combobox", { name: "Members" });
  fireEvent.click(field);
  const list = screen.getByRole("listbox", { name: "Members", hidden: true });
  await within(list).findByRole("option", { name: /^Many 000/, hidden: true });
  return { stage, field, list };
}

describe("a picker", () => {
  it("shows one page, and the next ones when asked", async () => {
    const { stage, list } = await open();
    expect(within(list).queryByRole("option", { name: /^Many 119/, hidden: true })).toBeNull();
    expect(within(list).getAllByRole("option", { hidden: true }).length).toBe(51);
    fireEvent.click(within(list).getByRole("option", { name: "Show more", hidden: true }));
    await waitFor(() => expect(within(list).getAllByRole("option", { hidden: true }).length).toBe(101));
    fireEvent.click(within(list).getByRole("option", { name: "Show more", hidden: true }));
    await within(list).findByRole("option", { name: /^Many 119/, hidden: true });
    expect(within(list).queryByRole("option", { name: "Show more", hidden: true })).toBeNull();
    expect(calls(stage, "PeopleToChoose").map((call) => call.variables.after)).toEqual([null, "50", "100"]);
  });

  it("has the server search, and keeps the name of what was chosen", async () => {
    const { stage, field, list } = await open();
    fireEvent.change(field, { target: { value: "many 119" } });
    fireEvent.click(await within(list).findByRole("option", { name: /^Many 119/, hidden: true }));
    expect(calls(stage, "PeopleToChoose").at(-1)?.variables).toMatchObject({ search: "many 119", after: null });
    // Back at the first page, where it is not.
    await within(list).findByRole("option", { name: /^Many 000/, hidden: true });
    expect(within(list).queryByRole("option", { name: /^Many 119/, hidden: true })).toBeNull();
    expect(screen.getByText("Many 119")).toBeTruthy();
  });

  it("says why it offers nothing", async () => {
    const { stage, field, list } = await open();
    fireEvent.change(field, { target: { value: "nobody of this name" } });
    await within(list).findByText("Nothing fits");
    stage.down.now = true;
    fireEvent.change(field, { target: { value: "somebody" } });
    await within(list).findByText(/could not be reached/);
  });
});
