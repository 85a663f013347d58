import { CombinedError } from "urql";
import { describe, expect, it } from "vitest";
import { messageFor, problemOf, trimField } from "../../src/graphql/problem";
import { moved } from "../../src/pages/approval-rules/approval-rules";
import { moments, positions } from "../../src/pages/audit/audit";
import { addressOf } from "../../src/pages/overview/overview";
import { memberNames } from "../../src/pages/people/teams";
import { narrowings } from "../../src/pages/requests/decide";
import { mappingOf } from "../../src/pages/settings/identity-provider-form";
import { changesOf, type SettingsDraft } from "../../src/pages/settings/settings";
import { spell } from "../../src/parts/tags";
import { dayText, duration, fromNow } from "../../src/parts/time";
import { providerAddress } from "../../src/session/doors";
import { refusedText } from "../../src/session/providers";
import { safeNext } from "../../src/session/sign-in";
import { can } from "../../src/shell/viewer";

describe("refusals of the server", () => {
  const refused = (extensions: Record<string, unknown>, message = "No.") => problemOf(new CombinedError({ graphQLErrors: [{ message, extensions }] }));

  it("keep their code and words", () => {
    expect(refused({ code: "ALREADY_DECIDED" }, "Somebody decided at 10:04.")).toEqual({ code: "ALREADY_DECIDED", message: "Somebody decided at 10:04.", fields: [] });
  });

  it("name the field as the form calls it", () => {
    expect(refused({ code: "INVALID", field: "input.document.times[0].to" }).fields[0]?.field).toBe("times[0].to");
    expect(trimField("document.users")).toBe("users");
  });

  it("list every wrong field of one input", () => {
    const { fields } = refused({ code: "INVALID", problems: [{ field: "document.users", code: "EMPTY", message: "a" }, { field: "document.times[1].from", code: "RANGE", message: "b" }] });
    expect(messageFor(fields, "users")).toBe("A");
    expect(messageFor(fields, "times")).toBe("B");
    expect(messageFor(fields, "time")).toBeUndefined();
  });

  it("tell a lost connection from an ended session", () => {
    expect(problemOf(new CombinedError({ networkError: new Error("gone") })).code).toBe("NETWORK");
    expect(problemOf(new CombinedError({ networkError: new Error("401"), response: new Response(null, { status: 401 }) })).code).toBe("UNAUTHENTICATED");
  });

  it("of a layer in front say what to do, not that the network is gone", () => {
    const answered = (status: number, headers: Record<string, string> = {}) => problemOf(new CombinedError({ networkError: new Error("no GraphQL"), response: new Response(null, { status, headers }) }));
    expect(answered(429, { "retry-after": "90" })).toEqual({ code: "RATE_LIMITED", message: "Too many attempts. Try again in 2 minutes.", fields: [] });
    expect(answered(403).code).toBe("FORBIDDEN");
    expect(answered(503).code).toBe("UNAVAILABLE");
    expect(answered(500).code).toBe("INTERNAL");
  });

  it("never show what went wrong inside", () => {
    expect(refused({}, "panicked at src/lib.rs").message).not.toContain("panicked");
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-26T10:00:00Z");
  it("never make a deadline look further away than it is", () => {
    expect(fromNow(now + 59_000, now)).toBe("in under a minute");
    expect(fromNow(now - 59_000, now)).toBe("just now");
    expect(fromNow(now + 119_000, now)).toBe("in 1 minute");
    expect(fromNow(now + 3_599_000, now)).toBe("in 59 minutes");
    expect(fromNow(now - 7_199_000, now)).toBe("1 hour ago");
  });
  it("spell windows in days, hours and minutes", () => {
    expect(duration(30)).toBe("30 min");
    expect(duration(1530)).toBe("1 d 1 h 30 min");
    expect(duration(0)).toBe("0 min");
  });
});

describe("small rules", () => {
  it("follows only paths of this console after signing in", () => {
    expect(safeNext("/requests/req_1?x=1")).toBe("/requests/req_1?x=1");
    for (const bad of ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "", null]) expect(safeNext(bad)).toBe("/");
  });
  it("reads only whole positive positions", () => {
    expect(positions("12", " 40 ")).toEqual({ fromPosition: 12, untilPosition: 40 });
    expect(positions("0", "1e3")).toEqual({});
  });
  it("reads local times as moments, and leaves out what is none", () => {
    expect(moments("2026-11-26T10:30", "soon")).toEqual({ recordedFrom: new Date(2026, 10, 26, 10, 30).toISOString() });
    expect(moments("", "")).toEqual({});
  });
  it("moves a rule by one place and never out of the list", () => {
    expect(moved(["a", "b", "c"], 2, -1)).toEqual(["a", "c", "b"]);
    expect(moved(["a", "b"], 0, -1)).toEqual(["a", "b"]);
    expect(moved(["a", "b"], 1, 1)).toEqual(["a", "b"]);
  });
  it("offers to narrow a grant, never to widen it", () => {
    expect(narrowings(60)).toEqual([15, 30]);
    expect(narrowings(10)).toEqual([]);
  });
  it("links alerts to the page of their object", () => {
    expect(addressOf("req_1")).toBe("/requests/req_1");
    expect(addressOf("psn_1")).toBeUndefined();
  });
  it("spells enum values for people", () => {
    expect(spell("MONITOR_AND_NOTIFY")).toBe("Monitor and notify");
    expect(spell("MACOS")).toBe("macOS");
    expect(spell("mfa")).toBe("MFA");
  });
  it("knows which roles see what", () => {
    expect(can({ roles: ["AUDITOR"] }, "read-all")).toBe(true);
    expect(can({ roles: ["AUDITOR"] }, "decide")).toBe(false);
    expect(can({ roles: ["APPROVER"] }, "administer")).toBe(false);
    expect(can({ roles: ["MEMBER", "ADMIN"] }, "administer")).toBe(true);
  });
  it("sends only the settings that differ", () => {
    const before: SettingsDraft = {
      windows: { pendingMinutes: 30, escalatedMinutes: 240, grantMinutes: 60, grantUses: 1 }, minimumJustification: 1, requireDenialComment: false,
      allowSelfApproval: false, refuseUnlinkedRequesters: false, bindMfaToRequester: false, requireSecondFactorToDecide: false,
      defaultApprovers: { userIds: [], teamIds: [] }, baselines: [],
    };
    expect(changesOf(before, { ...before })).toEqual({});
    expect(changesOf(before, { ...before, bindMfaToRequester: true, windows: { ...before.windows, grantUses: null } })).toEqual({
      bindMfaToRequester: true,
      windows: { pendingMinutes: 30, escalatedMinutes: 240, grantMinutes: 60, grantUses: null, unlimitedUses: true },
    });
  });
});

describe("sign-in with an identity provider", () => {
  it("reads a group with spaces and = in it", () => {
    expect(mappingOf("Second = line = approver\n\nAdmins=admin\nnone")).toEqual([
      { group: "Second = line", role: "APPROVER" },
      { group: "Admins", role: "ADMIN" },
      { group: "none", role: "" },
    ]);
  });

  it("says nothing that a stranger wrote into the address", () => {
    expect(refusedText(null)).toBeUndefined();
    expect(refusedText("NO_ACCOUNT")).toContain("no account");
    expect(refusedText("Call 555-1234")).toBe("Signing in with the identity provider did not work.");
  });

  it("leaves for an address of this server", () => {
    expect(providerAddress("a/b", "idp_1", "/requests?x=1")).toBe("/auth/oidc/a%2Fb/start?provider=idp_1&returnTo=%2Frequests%3Fx%3D1");
  });
});

describe("what is read at a glance", () => {
  it("names a few members and counts the others", () => {
    const members = (count: number) => Array.from({ length: count }, (_, index) => ({ id: `usr_${index}`, name: `N${index}`, email: null }));
    expect(memberNames(members(0) as never)).toBe("");
    expect(memberNames(members(5) as never)).toBe("N0, N1, N2, N3, N4");
    expect(memberNames(members(1006) as never)).toBe("N0, N1, N2, N3, N4 and 1,001 more");
  });

  it("writes a day of the calendar in words, wherever one is", () => {
    expect(dayText("2026-11-01")).toBe("1 Nov 2026");
  });
});
