/** A run of plain text, or one character that a reader would not see as it is. */
export interface Piece {
  text: string;
  escaped: boolean;
}

/**
 * Characters that are invisible, reorder their neighbours or pass for a space: controls, every space but U+0020,
 * bidirectional marks, zero-width and filler characters, variation selectors, tags, interlinear marks, private use.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2800\u3164\uFE00-\uFE0F\uFFA0\u{E0100}-\u{E01EF}]/u;

const NAMES: Record<number, string> = { 0x09: "\\t", 0x0a: "\\n", 0x0d: "\\r", 0x00: "\\0" };

/**
 * Splits a text so that nothing in it stays unseen: each such character becomes its escape, such as `\u202E`.
 * Nothing is left out or shortened. With `lines`, a line feed is kept behind its escape so that long text stays readable.
 */
export function pieces(text: string, lines = false): Piece[] {
  const found: Piece[] = [];
  let plain = "";
  const flush = () => {
    if (plain) found.push({ text: plain, escaped: false });
    plain = "";
  };
  for (const character of text) {
    if (!UNSEEN.test(character)) {
      plain += character;
      continue;
    }
    if (lines && character === "\n") {
      plain += character;
      continue;
    }
    flush();
    const code = character.codePointAt(0) ?? 0;
    const hex = code.toString(16).toUpperCase();
    found.push({
      text: NAMES[code] ?? (code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`),
      escaped: true,
    });
  }
  flush();
  return found;
}

/** The same as one string, for titles and plain places. */
export function shown(text: string): string {
  return pieces(text)
    .map((piece) => piece.text)
    .join("");
}

/** True where the text holds anything that is shown escaped. */
export function hasUnseen(text: string): boolean {
  return UNSEEN.test(text);
}
