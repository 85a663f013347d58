import { describe, expect, it } from "vitest";
import { diffLines, folded } from "../../src/pages/policies/diff";
import { emptyDocument, parseJson, readDocument, withField, writeJson } from "../../src/pages/policies/document";
import { actionOf, localRfc3339 } from "../../src/pages/policies/try-action";

describe("a policy document", () => {
  it("survives the way through the form with fields the form does not know", () => {
    const raw = { ...emptyDocument(), name: "a", future: { kept: true } };
    const changed = withField(raw, "name", "b");
    expect(changed).toEqual({ ...raw, name: "b" });
    expect(parseJson(writeJson(changed))).toEqual({ raw: changed });
  });

  it("has the defaults of the format where fields are left out", () => {
    const document = readDocument({ name: "a" });
    expect(document).toMatchObject({ riskLevel: 50, accessMinutes: 240, users: [], exception: false, mfaAlways: false, notification: null });
  });

  it("asks for acknowledgement unless it says otherwise", () => {
    expect(readDocument({ notification: { message: "m" } }).notification?.requireAcknowledgement).toBe(true);
    expect(readDocument({ notification: { message: "m", requireAcknowledgement: false } }).notification?.requireAcknowledgement).toBe(false);
  });

  it("loses the lists that its new type must not have", () => {
    const raw = { type: "privilege_elevation", users: ["*"], machines: ["*"], applications: ["path:/a"], controls: ["mfa"], status: "monitor" };
    expect(withField(raw, "type", "command_line")).not.toHaveProperty("applications");
    const rights = withField(raw, "type", "least_privilege");
    expect(rights).toEqual({ type: "least_privilege", machines: ["*"], status: "off" });
  });

  it("is one JSON object, and says so when it is not", () => {
    expect(parseJson("[]")).toEqual({ error: "A policy is one JSON object." });
    expect(parseJson("{")).toHaveProperty("error");
  });
});

describe("the difference of two revisions", () => {
  it("is what went and what came", () => {
    expect(diffLines("a\nb\nc", "a\nx\nc")).toEqual([
      { kind: "same", text: "a" },
      { kind: "removed", text: "b" },
      { kind: "added", text: "x" },
      { kind: "same", text: "c" },
    ]);
  });

  it("gives back both texts, whatever they are", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      const text = () => Array.from({ length: random(12) + 1 }, () => "abcd"[random(4)]).join("\n");
      const [before, after] = [text(), text()];
      const lines = diffLines(before, after);
      expect(lines.filter((line) => line.kind !== "added").map((line) => line.text).join("\n")).toBe(before);
      expect(lines.filter((line) => line.kind !== "removed").map((line) => line.text).join("\n")).toBe(after);
    }
  });

  it("folds what is far from every change", () => {
    const before = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    const after = before.with(10, "changed");
    expect(folded(diffLines(before.join("\n"), after.join("\n")), 2)).toEqual([
      { skipped: 8 },
      { kind: "same", text: "line 8" },
      { kind: "same", text: "line 9" },
      { kind: "removed", text: "line 10" },
      { kind: "added", text: "changed" },
      { kind: "same", text: "line 11" },
      { kind: "same", text: "line 12" },
      { skipped: 7 },
    ]);
  });
});

describe("an attempt to try", () => {
  it("has the case format of policy tests", () => {
    const attempt = { user: "CORP\\a", groups: "x, y,", machine: "m", os: "linux", path: "/bin/a", publisher: "", commandLine: "", file: "/etc/b", variables: "{downloads}=C:\\D\nnonsense", moment: "", online: false };
    expect(actionOf("file_access", attempt, "2026-01-01T00:00:00+01:00")).toEqual({
      type: "file_access",
      user: { name: "CORP\\a", groups: ["x", "y"] },
      machine: { name: "m", os: "linux" },
      application: { path: "/bin/a" },
      file: "/etc/b",
      at: "2026-01-01T00:00:00+01:00",
      variables: { downloads: "C:\\D" },
      online: false,
    });
  });

  it("names the same moment with its offset", () => {
    const date = new Date("2026-11-26T10:00:00.000Z");
    expect(Date.parse(localRfc3339(date))).toBe(date.getTime());
    expect(localRfc3339(date)).toMatch(/[+-]\d\d:\d\d$/);
  });
});
