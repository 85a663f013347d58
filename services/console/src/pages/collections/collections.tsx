import { Button, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { CollectionKind, CollectionsQuery } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { useFilters } from "../../parts/filters";
import { Card, Page } from "../../parts/page";
import { SearchBox } from "../../parts/search-box";
import { Empty, ProblemNote, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { spell, Tag } from "../../parts/tags";
import { When } from "../../parts/time";
import { Visible } from "../../parts/visible";
import { can, useViewer } from "../../shell/viewer";
import { InventoryPicker } from "./inventory";

const CollectionsLook = graphql(`
  query Collections($kind: CollectionKind, $search: String, $after: String) {
    collections(kind: $kind, search: $search, first: 50, after: $after) {
      nodes { id name kind members updatedAt usedBy { id name } }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
`);
const CreateAct = graphql(`
  mutation CreateCollection($input: CreateCollectionInput!) {
    createCollection(input: $input) { collection { id } position }
  }
`);
const ChangeAct = graphql(`
  mutation ChangeCollection($input: ChangeCollectionInput!) {
    changeCollection(input: $input) { collection { id name members } position }
  }
`);
const DeleteAct = graphql(`
  mutation DeleteCollection($input: DeleteCollectionInput!) {
    deleteCollection(input: $input) { collection { id } position }
  }
`);

type Row = CollectionsQuery["collections"]["nodes"][number];

const names = ["kind", "q"] as const;
const hints: Record<CollectionKind, string> = {
  USERS: "user:CORP\\alice\ngroup:CORP\\Developers",
  MACHINES: "machine:LAPTOP-*\nos:linux",
  APPLICATIONS: "path:{programfiles}\\Git\\*\nsha256:9f86…\npublisher:CN=Contoso*",
};

export function Collections() {
  const changes = can(useViewer(), "administer");
  const { values, set, any, clear } = useFilters(names);
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [values, restart]);
  const look = useLook(
    CollectionsLook,
    { kind: (values.kind as CollectionKind) || null, search: values.q || null, after: cursor.after },
    { names: ["Collection"] },
  );
  const [editing, setEditing] = useState<Row | "new">();
  const [deleting, setDeleting] = useState<Row>();
  const remove = useAct(DeleteAct, "The collection is deleted");
  const create = changes && <Button onClick={() => setEditing("new")}>New collection</Button>;
  return (
    <Page title="Collections" about="Named sets of users, machines or applications that policies and approval rules refer to." actions={create}>
      <div className="filters">
        <SearchBox label="Search" placeholder="Words of the name or members…" value={values.q} onChange={(text) => set("q", text)} />
        <NativeSelect
          label="Kind"
          value={values.kind}
          onChange={(event) => set("kind", event.currentTarget.value)}
          data={[{ value: "", label: "Any" }, ...(["USERS", "MACHINES", "APPLICATIONS"] as const).map((value) => ({ value, label: spell(value) }))]}
        />
      </div>
      <Card flush>
        <Ready look={look}>
          {({ collections }) =>
            collections.nodes.length === 0 ? (
              any ? (
                <Empty title="No collection fits" action={<Button variant="default" onClick={clear}>Clear filters</Button>} />
              ) : (
                <Empty title="There are no collections yet" action={create}>
                  Put what belongs together under one name, and use it in many policies as <span className="mono">collection:NAME</span>.
                </Empty>
              )
            ) : (
              <Table
                caption="Collections"
                rows={collections.nodes}
                rowKey={(row) => row.id}
                columns={[
                  {
                    label: "Name",
                    bare: true,
                    cell: (row) => <div className="table__main">{row.name}</div>,
                  },
                  { label: "Kind", cell: (row) => <Tag>{spell(row.kind)}</Tag> },
                  { label: "Members", wide: true, cell: (row) => <Members members={row.members} /> },
                  {
                    label: "Used by",
                    cell: (row) =>
                      row.usedBy.length === 0 ? (
                        <span className="soft">No policy</span>
                      ) : (
                        <ul className="plain-list">
                          {row.usedBy.map((policy) => (
                            <li key={policy.id}>
                              <Link to={`/policies/${policy.id}`}>{policy.name}</Link>
                            </li>
                          ))}
                        </ul>
                      ),
                  },
                  { label: "Changed", cell: (row) => <When at={row.updatedAt} /> },
                  ...(changes
                    ? [
                        {
                          label: "",
                          cell: (row: Row) => (
                            <div className="row row--end">
                              <Button size="compact-sm" variant="default" aria-label={`Edit ${row.name}`} onClick={() => setEditing(row)}>
                                Edit
                              </Button>
                              <Button size="compact-sm" variant="default" aria-label={`Delete ${row.name}`} onClick={() => setDeleting(row)}>
                                Delete
                              </Button>
                            </div>
                          ),
                        },
                      ]
                    : []),
                ]}
              />
            )
          }
        </Ready>
      </Card>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.collections.pageInfo} total={look.data.collections.totalCount} />}
      <Dialog open={editing !== undefined} onClose={() => setEditing(undefined)} title={editing === "new" ? "New collection" : "Edit collection"}>
        {editing && <CollectionForm of={editing} onDone={() => setEditing(undefined)} />}
      </Dialog>
      {deleting && (
        <Confirm
          open
          onClose={() => setDeleting(undefined)}
          title={`Delete “${deleting.name}”?`}
          action="Delete"
          dangerous
          running={remove.running}
          problem={remove.problem}
          onConfirm={() => void remove.run({ input: { collectionId: deleting.id } }).then((done) => done && setDeleting(undefined))}
        >
          {deleting.usedBy.length > 0 ? "It is still in use; the server will refuse this until no policy refers to it." : "No policy refers to it."}
        </Confirm>
      )}
    </Page>
  );
}

function Members({ members }: { members: string[] }) {
  const [all, setAll] = useState(false);
  const few = all ? members : members.slice(0, 4);
  return (
    <span className="chips">
      {few.map((member) => (
        <span className="chip" key={member}>
          <Visible text={member} />
        </span>
      ))}
      {members.length > 4 && (
        <Button size="compact-xs" variant="subtle" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `All ${members.length}`}
        </Button>
      )}
    </span>
  );
}

function CollectionForm({ of, onDone }: { of: Row | "new"; onDone: () => void }) {
  const old = of === "new" ? undefined : of;
  const [name, setName] = useState(old?.name ?? "");
  const [kind, setKind] = useState<CollectionKind>(old?.kind ?? "APPLICATIONS");
  const [members, setMembers] = useState(old?.members.join("\n") ?? "");
  const [picking, setPicking] = useState(false);
  const create = useAct(CreateAct, "The collection is saved");
  const change = useAct(ChangeAct, "The collection is saved");
  const problem = create.problem ?? change.problem;
  const error = (field: string) => messageFor(problem?.fields ?? [], field);
  const list = members.split("\n").map((line) => line.trim()).filter(Boolean);
  const save = async () => {
    const done = old
      ? await change.run({ input: { collectionId: old.id, name, members: list } })
      : await create.run({ input: { name, kind, members: list } });
    if (done) onDone();
  };
  const add = (more: string[]) => {
    setMembers([...list, ...more].join("\n"));
    setPicking(false);
  };
  return (
    <>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <TextInput label="Name" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
        <NativeSelect
          label="Kind"
          value={kind}
          disabled={old !== undefined}
          onChange={(event) => setKind(event.currentTarget.value as CollectionKind)}
          data={(["APPLICATIONS", "USERS", "MACHINES"] as const).map((value) => ({ value, label: spell(value) }))}
        />
        <Textarea
          label="Members"
          description="One entry a line"
          placeholder={hints[kind]}
          autosize
          minRows={5}
          maxRows={14}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mono)", fontSize: "0.87rem" } }}
          value={members}
          error={error("members")}
          onChange={(event) => setMembers(event.currentTarget.value)}
        />
        <div>
          <Button variant="default" size="compact-sm" onClick={() => setPicking(true)}>
            Add from inventory…
          </Button>
        </div>
        <ProblemNote problem={problem} />
        <div className="row row--end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={create.running || change.running}>
            Save collection
          </Button>
        </div>
      </form>
      <Dialog wide open={picking} onClose={() => setPicking(false)} title="Add from inventory">
        <InventoryPicker kind={kind} present={list} onAdd={add} onCancel={() => setPicking(false)} />
      </Dialog>
    </>
  );
}
