export interface DiffLine {
  kind: "same" | "added" | "removed";
  text: string;
}

/** The shortest difference of two texts by lines (longest common subsequence); documents are a few dozen lines. */
export function diffLines(before: string, after: string): DiffLine[] {
  const old = before.split("\n");
  const young = after.split("\n");
  const width = young.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = young.length - 1; column >= 0; column--) {
      common[row * width + column] =
        old[row] === young[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: DiffLine[] = [];
  let row = 0;
  let column = 0;
  while (row < old.length || column < young.length) {
    if (row < old.length && column < young.length && old[row] === young[column]) {
      lines.push({ kind: "same", text: old[row] as string });
      row++;
      column++;
    } else if (row < old.length && (column >= young.length || at(row + 1, column) >= at(row, column + 1))) {
      lines.push({ kind: "removed", text: old[row] as string });
      row++;
    } else {
      lines.push({ kind: "added", text: young[column] as string });
      column++;
    }
  }
  return lines;
}

/** Keeps `around` unchanged lines beside each change; longer runs become their count. */
export function folded(lines: DiffLine[], around = 3): (DiffLine | { skipped: number })[] {
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - around), index + around + 1).some((line) => line.kind !== "same"),
  );
  const result: (DiffLine | { skipped: number })[] = [];
  let skipped = 0;
  lines.forEach((line, index) => {
    if (near[index]) {
      if (skipped > 0) result.push({ skipped });
      skipped = 0;
      result.push(line);
    } else skipped++;
  });
  if (skipped > 0) result.push({ skipped });
  return result;
}
