import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import type { TypedDocumentString } from "../gql/graphql";
import { useLook } from "./hooks";
import type { Problem } from "./problem";

/** A part of a list, as the server gives it. */
export interface Part<Row> {
  nodes: readonly Row[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

export interface Found<Row> {
  rows: readonly Row[];
  search: string;
  setSearch: (text: string) => void;
  /** Asks for the rows that follow; undefined where there are none. */
  more: (() => void) | undefined;
  /** The answer to what was typed last is still under way. */
  busy: boolean;
  problem: Problem | undefined;
}

/** Without a key pressed for so long, in milliseconds, the server is asked. */
const PAUSE = 300;

/** A list that the server searches as one types, and of which more and more is shown. */
export function useFound<Data, Row extends { id: string }>(
  query: TypedDocumentString<Data, { search?: string | null; after?: string | null }>,
  read: (data: Data) => Part<Row>,
  options: { names?: string[]; pause?: boolean } = {},
): Found<Row> {
  const [search, setSearch] = useState("");
  const [settled] = useDebouncedValue(search.trim(), PAUSE);
  const [reached, setReached] = useState<{ search: string; after: string | null; before: readonly Row[] }>({ search: "", after: null, before: [] });
  const { after, before } = reached.search === settled ? reached : { after: null, before: [] };
  const look = useLook(query, { search: settled || null, after }, options);
  const part = look.data && read(look.data);
  const rows = [...new Map([...before, ...(part?.nodes ?? [])].map((row) => [row.id, row])).values()];
  const end = !look.busy && part?.pageInfo.hasNextPage ? part.pageInfo.endCursor : undefined;
  return {
    rows,
    search,
    setSearch,
    more: end ? () => setReached({ search: settled, after: end, before: rows }) : undefined,
    busy: look.busy || search.trim() !== settled,
    problem: look.problem,
  };
}
