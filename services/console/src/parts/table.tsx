import { Button } from "@mantine/core";
import { type ReactNode, useCallback, useState } from "react";

export interface Column<Row> {
  label: string;
  /** Hides the label in front of the value on narrow screens. */
  bare?: boolean;
  /** Takes what room there is. */
  wide?: boolean;
  cell: (row: Row) => ReactNode;
}

export interface TableProps<Row> {
  caption: string;
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
  columns: Column<Row>[];
}

/** A table that turns into labelled blocks on a narrow screen. */
export function Table<Row>({ caption, rows, rowKey, columns }: TableProps<Row>) {
  return (
    <table className="table">
      <caption className="hidden-text">{caption}</caption>
      <thead>
        <tr>
          {columns.map((column, index) => (
            <th key={column.label || index} scope="col" className={column.wide ? "table__wide" : undefined}>
              {column.label || <span className="hidden-text">Actions</span>}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={rowKey(row)}>
            {columns.map((column, index) => (
              <td key={column.label || index} data-label={column.bare ? "" : column.label}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export interface Cursor {
  after: string | null;
  /** How many pages lie before this one. */
  depth: number;
  forward: (endCursor: string) => void;
  back: () => void;
  restart: () => void;
}

/** Where a list stands: the cursors that led here, so that one can go back. */
export function useCursor(): Cursor {
  const [stack, setStack] = useState<string[]>([]);
  return {
    after: stack.at(-1) ?? null,
    depth: stack.length,
    forward: useCallback((endCursor) => setStack((all) => [...all, endCursor]), []),
    back: useCallback(() => setStack((all) => all.slice(0, -1)), []),
    restart: useCallback(() => setStack((all) => (all.length === 0 ? all : [])), []),
  };
}

export function Pager({
  cursor,
  pageInfo,
  total,
}: {
  cursor: Cursor;
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
  total?: number | null;
}) {
  const end = pageInfo.endCursor;
  const more = pageInfo.hasNextPage && end;
  if (!more && cursor.depth === 0) return null;
  return (
    <nav className="row row--between" aria-label="Pages">
      <span className="soft small">
        Page {cursor.depth + 1}
        {total != null && <> of a list of {total}</>}
      </span>
      <div className="row">
        <Button variant="default" size="xs" disabled={cursor.depth === 0} onClick={cursor.back}>
          Previous
        </Button>
        <Button variant="default" size="xs" disabled={!more} onClick={() => end && cursor.forward(end)}>
          Next
        </Button>
      </div>
    </nav>
  );
}
