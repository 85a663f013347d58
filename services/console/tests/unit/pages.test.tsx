import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { calls, show } from "./stage";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  localStorage.clear();
});

const type = (label: string | RegExp, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });
const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

describe("the door", () => {
  it("asks for a code where the account has a second factor, then goes where one wanted to go", async () => {
    show("/policies", { signedIn: false });
    await screen.findByRole("heading", { name: "Sign in to Portcullis" });
    type(/Organisation/, "example");
    type(/E-mail/, "a@example.com");
    type(/^Password/, "wrong");
    press("Sign in");
    expect((await screen.findByRole("alert")).textContent).toContain("Unknown user or wrong password");
    type(/^Password/, "right");
    press("Sign in");
    fireEvent.change(await screen.findByLabelText(/One-time code/), { target: { value: "123456" } });
    press("Sign in");
    await screen.findByRole("heading", { name: "Policies", level: 1 });
  });

  it("lets one out again", async () => {
    show("/requests");
    await screen.findByRole("heading", { name: "Requests", level: 1 });
    press("Sign out");
    await screen.findByRole("heading", { name: "Sign in to Portcullis" });
  });
});

describe("the overview", () => {
  it("escapes what strangers have written into an alert", async () => {
    show("/");
    expect((await screen.findByRole("link", { name: /records are missing/ })).textContent).toContain("gpj\\u202E.exe");
  });
});

describe("an answer in part", () => {
  const errors = [{ message: "not available for the moment", extensions: { code: "UNAVAILABLE" } }];

  it("is no answer, and there is another try", async () => {
    const stage = show("/account");
    await screen.findByRole("heading", { name: "Your account", level: 1 });
    stage.errors.now = errors;
    fireEvent.click(screen.getByRole("link", { name: "Overview" }));
    await screen.findByText("This could not be loaded");
    delete stage.errors.now;
    press("Try again");
    await screen.findByText("Open requests");
  });
});

describe("the request queue", () => {
  it("shows open requests with what they are about and who asks", async () => {
    show("/requests");
    const table = await screen.findByRole("table", { name: "Requests" });
    expect(within(table).getByText("C:\\Users\\member5\\Downloads\\printer-setup.exe")).toBeTruthy();
    expect(within(table).getByText("\\u202E")).toBeTruthy();
    expect(within(table).getByText("Not linked")).toBeTruthy();
    expect(within(table).queryByText("Denied")).toBeNull();
  });

  it("asks the server again by itself while there is no live line", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true, toFake: ["setInterval", "clearInterval", "Date"] });
    const stage = show("/requests");
    await screen.findByRole("table", { name: "Requests" });
    const before = calls(stage, "RequestQueue").length;
    (stage.world.requests[0] as Record<string, unknown>).status = "CANCELLED";
    await act(async () => void vi.advanceTimersByTime(12_500));
    await waitFor(() => expect(calls(stage, "RequestQueue").length).toBeGreaterThan(before));
    await waitFor(() => expect(screen.queryByText("C:\\Users\\member5\\Downloads\\printer-setup.exe")).toBeNull());
  });

  it("keeps what it shows when the server does not answer for a while, and says so", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true, toFake: ["setInterval", "clearInterval", "Date"] });
    const stage = show("/requests");
    await screen.findByRole("table", { name: "Requests" });
    stage.down.now = true;
    await act(async () => void vi.advanceTimersByTime(12_500));
    await screen.findAllByText(/The server does not answer/);
    expect(screen.getByRole("table", { name: "Requests" })).toBeTruthy();
    stage.down.now = false;
    await act(async () => void vi.advanceTimersByTime(12_500));
    await waitFor(() => expect(screen.queryByText(/The server does not answer/)).toBeNull());
  });

  it("says in words when nothing waits", async () => {
    const stage = show("/requests");
    stage.world.requests.length = 0;
    await screen.findByText("Nothing is waiting");
  });

  it("offers another try when the server is gone", async () => {
    const stage = show("/requests");
    await screen.findByRole("table", { name: "Requests" });
    stage.down.now = true;
    fireEvent.change(screen.getByLabelText("Status"), { target: { value: "closed" } });
    await screen.findByText("This could not be loaded");
    stage.down.now = false;
    press("Try again");
    const table = await screen.findByRole("table", { name: "Requests" });
    expect(within(table).getByText("Denied")).toBeTruthy();
  });

  it("decides several at once, and names those that were refused", async () => {
    const stage = show("/requests");
    await screen.findByRole("table", { name: "Requests" });
    fireEvent.click(screen.getByRole("checkbox", { name: /^Choose .* of CORP\\member5$/ }));
    fireEvent.click(screen.getByRole("checkbox", { name: /^Choose .* of LAPTOP-17\\helper$/ }));
    (stage.world.requests[1] as Record<string, unknown>).status = "CANCELLED";
    press("Approve 2");
    await screen.findByText("1 done, 1 refused");
    // The moment comes in a field of its own, and is shown by the reader's clock.
    const refused = screen.getByText("1 done, 1 refused").closest(".note")?.querySelector("li");
    expect(refused?.textContent).toMatch(/: The request was already denied by Approver Two, 3 minutes ago\.$/);
    // What was decided is not chosen any more; what was refused is.
    expect(screen.getByText("1 request chosen")).toBeTruthy();
    expect(stage.world.requests.map((request) => request.status).slice(0, 2)).toEqual(["APPROVED", "CANCELLED"]);
  });

  it("hides from members what they may not see", async () => {
    show("/", { viewer: 3 });
    await screen.findByRole("heading", { name: "Requests", level: 1 });
    const rail = screen.getByRole("navigation", { name: "Main" });
    expect(within(rail).getAllByRole("link").map((link) => link.textContent)).toEqual(["Requests"]);
  });
});

describe("a request", () => {
  const open = async (stage: ReturnType<typeof show>, index: number) => {
    await screen.findByRole("region", { name: "The whole action" });
    return stage.world.requests[index] as Record<string, unknown>;
  };
  const address = (number: number) => `/requests/req_01k9zq3v5teh2b7c8d9e0f${String(number).padStart(4, "0")}`;

  it("is approved with the digest that was shown, the CSRF token and an idempotency key", async () => {
    const stage = show(address(1));
    const request = await open(stage, 0);
    type("Comment", "Known printer");
    type("Grant lasts", "60");
    press("Approve");
    await screen.findByRole("region", { name: "Grant" });
    const [call] = calls(stage, "Approve");
    expect(call?.variables).toEqual({ input: { requestId: request.id, digest: request.digest, comment: "Known printer", grantMinutes: 60, grantUses: null } });
    expect(call?.headers["x-csrf-token"]).toBe("token-1");
    expect(call?.headers["idempotency-key"]).toMatch(/^[0-9a-f]{32}$/);
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("sends the same key again after a lost connection, and a new one after an answer", async () => {
    const stage = show(address(1));
    await open(stage, 0);
    const keys: unknown[] = [];
    const real = globalThis.fetch;
    let lose = true;
    vi.stubGlobal("fetch", async (target: string, init: RequestInit) => {
      if (String(init.body).includes("mutation Deny")) {
        keys.push((init.headers as Record<string, string>)["idempotency-key"]);
        if (lose) throw new TypeError("gone");
      }
      return real(target, init);
    });
    stage.refuse.deny = { code: "EXPIRED", message: "Its time is over." };
    await waitFor(() => expect(calls(stage, "DecideSettings").length).toBe(1));
    type("Comment", "no");
    press("Deny");
    await screen.findByText(/could not be reached/);
    lose = false;
    press("Deny");
    await screen.findByText("Its time is over.");
    press("Deny");
    await waitFor(() => expect(keys.length).toBe(3));
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[1]);
  });

  it("cannot be denied without a comment where the organisation wants one", async () => {
    const stage = show(address(1));
    await open(stage, 0);
    await waitFor(() => expect((screen.getByRole("button", { name: "Deny" }) as HTMLButtonElement).disabled).toBe(true));
    type("Comment", "Use the packaged version");
    expect((screen.getByRole("button", { name: "Deny" }) as HTMLButtonElement).disabled).toBe(false);
    press("Deny");
    await screen.findByText(/Denied by/);
  });

  it("shows who was faster, and the newest state", async () => {
    const stage = show(address(1));
    const request = await open(stage, 0);
    stage.refuse.approve = { code: "ALREADY_DECIDED", message: "the request was already denied", at: new Date(Date.now() - 60_000).toISOString() };
    const before = calls(stage, "RequestPage").length;
    press("Approve");
    expect((await screen.findByRole("alert")).textContent).toContain("The request was already denied, 1 minute ago.");
    await waitFor(() => expect(calls(stage, "RequestPage").length).toBeGreaterThan(before));
    expect(request.status).toBe("PENDING");
  });

  it("shows every part of the action, with unseen characters escaped", async () => {
    const stage = show(address(2));
    await open(stage, 1);
    const action = screen.getByRole("region", { name: "The whole action" });
    expect(action.textContent).toContain("C:\\Users\\helper\\Desktop\\invoice_\\u202Efdp.exe");
    expect(action.textContent).toContain("--run\\u00A0now\\u0007");
    expect(screen.getByText("The agent claimed risk 20; the server found 85.")).toBeTruthy();
  });

  it("that is not there is not told from one that may not be seen", async () => {
    show("/requests/req_01k9zq3v5teh2b7c8d9e0f9999");
    await screen.findByText("This request does not exist");
  });
});

describe("the policy editor", () => {
  it("shares one document between form and JSON", async () => {
    show("/policies/new");
    await screen.findByRole("heading", { name: "New policy" });
    type(/^Name/, "From the form");
    fireEvent.click(screen.getByRole("radio", { name: "JSON" }));
    const text = screen.getByLabelText("Policy document") as HTMLTextAreaElement;
    expect(JSON.parse(text.value).name).toBe("From the form");
    fireEvent.change(text, { target: { value: text.value.replace("From the form", "From the JSON") } });
    fireEvent.click(screen.getByRole("radio", { name: "Form" }));
    expect((screen.getByLabelText(/^Name/) as HTMLInputElement).value).toBe("From the JSON");
  });

  it("stays in the JSON until it can be read again", async () => {
    show("/policies/new");
    await screen.findByRole("heading", { name: "New policy" });
    fireEvent.click(screen.getByRole("radio", { name: "JSON" }));
    type("Policy document", "{ not yet");
    expect(screen.getByText(/Not JSON yet/)).toBeTruthy();
    expect((screen.getByRole("radio", { name: "Form" }) as HTMLInputElement).disabled).toBe(true);
    expect((screen.getByRole("button", { name: "Create policy" }) as HTMLButtonElement).disabled).toBe(true);
  });

  it("puts the server's problems at their fields", async () => {
    const stage = show("/policies/new");
    await screen.findByRole("heading", { name: "New policy" });
    type(/^Name/, "x");
    stage.refuse.createPolicy = { code: "INVALID", problems: [{ field: "document.machines", code: "UNKNOWN_COLLECTION", message: "There is no collection of that name." }] };
    press("Create policy");
    const field = await screen.findByLabelText("Machines", { selector: "input:not([type=hidden])" });
    await waitFor(() => expect(field.getAttribute("aria-invalid")).toBe("true"));
    expect(screen.getAllByText(/There is no collection of that name/).length).toBeGreaterThan(1);
  });

  it("saves and shows the new policy", async () => {
    const stage = show("/policies/new");
    await screen.findByRole("heading", { name: "New policy" });
    type(/^Name/, "Brand new");
    press("Create policy");
    await screen.findByRole("heading", { name: "Brand new", level: 1 });
    expect((calls(stage, "CreatePolicy")[0]?.variables.input as { document: { status: string } }).document.status).toBe("monitor");
  });
});

describe("a policy", () => {
  it("compares its newest revisions", async () => {
    show("/policies/pol_01k9zq3v5teh2b7c8d9e0f0001/revisions");
    await screen.findByRole("table", { name: "Revisions" });
    expect(screen.getByText(/publisher:CN=Contoso\*/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Promote" })).toBeTruthy();
  });

  it("can be read, but not changed, by an auditor", async () => {
    show("/policies/pol_01k9zq3v5teh2b7c8d9e0f0001", { viewer: 2 });
    await screen.findByRole("heading", { name: "Installers need a second pair of eyes" });
    expect(screen.queryByRole("link", { name: "Edit" })).toBeNull();
    expect(screen.queryByRole("button", { name: /Change status/ })).toBeNull();
  });
});

describe("the audit trail", () => {
  it("numbers its events and finds those about one object", async () => {
    const stage = show("/audit");
    await screen.findByRole("table", { name: "Events, newest first" });
    expect(screen.getByText("118")).toBeTruthy();
    press("Open event 117");
    press("Everything about this object");
    await waitFor(() => expect(calls(stage, "AuditTrail").at(-1)?.variables.filter).toEqual({ subjectId: stage.world.policies[0]?.id }));
  });
});

describe("identity providers", () => {
  it("are shown with what was wrong with them, and removed only after a question", async () => {
    const stage = show("/settings/identity-providers");
    await screen.findByRole("heading", { name: "Contoso" });
    expect(screen.getByRole("alert").textContent).toContain("gave no answer");
    expect(screen.getByText("Approvers → Approver")).toBeTruthy();
    press("Remove Contoso");
    await screen.findByText(/client secret is forgotten/);
    expect(calls(stage, "RemoveIdentityProvider")).toEqual([]);
  });

  it("are added only with roles that groups can give", async () => {
    show("/settings/identity-providers");
    await screen.findByRole("heading", { name: "Contoso" });
    press("New identity provider");
    fireEvent.change(await screen.findByLabelText(/Roles by groups/), { target: { value: "Chiefs = owner" } });
    await screen.findByText(/“Chiefs” needs one of the roles/);
    expect((screen.getByRole("button", { name: "Add" }) as HTMLButtonElement).disabled).toBe(true);
  });
});

describe("the other pages", () => {
  it.each([
    ["/", "Overview"],
    ["/collections", "Collections"],
    ["/approval-rules", "Approval rules"],
    ["/people", "Users"],
    ["/people/teams", "Teams"],
    ["/people/service-accounts", "Service accounts"],
    ["/endpoints", "Endpoints"],
    ["/endpoints/end_01k9zq3v5teh2b7c8d9e0f0001", "LAPTOP-17"],
    ["/endpoints/groups", "Deployment groups"],
    ["/settings", "Settings"],
    ["/settings/identity-providers", "Identity providers"],
    ["/account", "Your account"],
  ])("%s is answered whole by the schema", async (path, title) => {
    show(path);
    await screen.findByRole("heading", { name: title, level: 1 });
    await waitFor(() => expect(document.querySelector(".bones")).toBeNull());
    expect(screen.queryByText("This could not be loaded")).toBeNull();
    expect(document.title).toBe(`${title} · Portcullis`);
  });

  it.each(["/policies/new", "/settings", "/people"])("%s is not shown to a member, who is told why", async (path) => {
    const stage = show(path, { viewer: 3 });
    await screen.findByRole("heading", { name: "Not for your roles", level: 1 });
    expect(screen.queryByRole("textbox")).toBeNull();
    expect(stage.sent.map((call) => call.operation)).toEqual(["Viewer"]);
  });

  it("an address that leads nowhere says so", async () => {
    show("/nowhere");
    await screen.findByText("There is no such page");
  });

  it("a mail that was refused is shown with the server's answer, and sent again", async () => {
    const stage = show("/settings");
    await screen.findByText("the mail server answered 550");
    press(/^Send again to /);
    await waitFor(() => expect(calls(stage, "ResendMail").length).toBe(1));
    expect(calls(stage, "ResendMail")[0]?.variables).toMatchObject({ input: { position: 40, part: 0 } });
  });

  it("settings send only what was changed", async () => {
    const stage = show("/settings");
    fireEvent.click(await screen.findByRole("switch", { name: /A denial needs a comment/ }));
    press("Save settings");
    await waitFor(() => expect(calls(stage, "ChangeSettings").map((call) => call.variables)).toEqual([{ input: { requireDenialComment: false } }]));
  });
});
