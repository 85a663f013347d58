import { describe, expect, it } from "vitest";
import { hasUnseen, pieces, shown } from "../../src/parts/escape";

describe("text from outside", () => {
  it("shows a right-to-left override as its escape, where it stands", () => {
    expect(pieces("invoice_\u202Efdp.exe")).toEqual([
      { text: "invoice_", escaped: false },
      { text: "\\u202E", escaped: true },
      { text: "fdp.exe", escaped: false },
    ]);
  });

  it.each([
    ["a null byte", "\0", "\\0"],
    ["a bell", "\u0007", "\\u0007"],
    ["delete", "\u007F", "\\u007F"],
    ["a tab", "\t", "\\t"],
    ["a line feed", "\n", "\\n"],
    ["a no-break space", "\u00A0", "\\u00A0"],
    ["an ideographic space", "\u3000", "\\u3000"],
    ["a zero-width joiner", "\u200D", "\\u200D"],
    ["an isolate", "\u2066", "\\u2066"],
    ["a line separator", "\u2028", "\\u2028"],
    ["a byte order mark", "\uFEFF", "\\uFEFF"],
    ["a soft hyphen", "\u00AD", "\\u00AD"],
    ["a Hangul filler", "\u3164", "\\u3164"],
    ["a variation selector", "\uFE0F", "\\uFE0F"],
    ["a tag letter", "\u{E0041}", "\\u{E0041}"],
    ["a lone surrogate", "\uD800", "\\uD800"],
  ])("never leaves %s unseen", (_, character, escape) => {
    expect(shown(`a${character}b`)).toBe(`a${escape}b`);
    expect(hasUnseen(character)).toBe(true);
  });

  it("leaves letters of every script, spaces and punctuation as they are", () => {
    for (const text of ["C:\\Program Files\\Git\\git.exe", "Grüße, Łódź", "日本語", "שלום", "-rf / --no-preserve-root"]) {
      expect(pieces(text)).toEqual([{ text, escaped: false }]);
    }
  });

  it("shortens nothing", () => {
    const long = "x".repeat(40_000);
    expect(shown(long)).toBe(long);
  });

  it("keeps line feeds of prose and escapes carriage returns in it", () => {
    expect(pieces("one\r\ntwo", true).map((piece) => piece.text)).toEqual(["one", "\\r", "\ntwo"]);
  });
});
