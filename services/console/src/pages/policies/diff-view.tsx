import { shown } from "../../parts/escape";
import { diffLines, folded } from "./diff";
import { writeJson } from "./document";

/** Two documents as one text with what went and what came. */
export function DiffView({ before, after }: { before: Record<string, unknown>; after: Record<string, unknown> }) {
  const lines = diffLines(writeJson(before), writeJson(after));
  if (lines.every((line) => line.kind === "same")) return <p className="soft">The two are the same.</p>;
  return (
    <div className="diff">
      {folded(lines).map((line, index) =>
        "skipped" in line ? (
          <div key={index} className="diff__gap">
            {line.skipped === 1 ? "1 line" : `${line.skipped} lines`} unchanged
          </div>
        ) : (
          <div key={index} className={`diff__line diff__line--${line.kind}`}>
            <span aria-hidden="true">{line.kind === "added" ? "+" : line.kind === "removed" ? "−" : ""}</span>
            <span>
              {line.kind !== "same" && <span className="hidden-text">{line.kind}: </span>}
              {shown(line.text)}
            </span>
          </div>
        ),
      )}
    </div>
  );
}
