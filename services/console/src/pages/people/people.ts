import { graphql } from "../../gql";
import type { Choice } from "../../parts/picker";
import { type Found, useFound } from "../../graphql/pages";

const PeopleLook = graphql(`
  query PeopleToChoose($search: String, $after: String) {
    users(filter: { statuses: [ACTIVE, INVITED] }, search: $search, first: 50, after: $after) {
      nodes { id name email }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

interface Person {
  id: string;
  name?: string | null;
  email?: string | null;
}

/** Users who can be chosen: all whose accounts are not closed. */
export function usePeople(options: { pause?: boolean } = {}): Found<Person> {
  return useFound(PeopleLook, (data) => data.users, { names: ["User"], ...options });
}

export function choiceOf({ id, name, email }: Person): Choice {
  return { id, label: name ?? email ?? id, detail: name ? (email ?? undefined) : undefined };
}
