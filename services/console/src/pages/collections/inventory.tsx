import { Button, Checkbox, NativeSelect } from "@mantine/core";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { graphql } from "../../gql";
import type { CollectionKind, InventoryQuery, MemberKind, OperatingSystem } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { SearchBox } from "../../parts/search-box";
import { Empty, Ready } from "../../parts/states";
import { Pager, Table, useCursor } from "../../parts/table";
import { spell, Tag } from "../../parts/tags";
import { Visible } from "../../parts/visible";

const InventoryLook = graphql(`
  query Inventory($kind: CollectionKind!, $filter: InventoryFilter, $search: String, $after: String) {
    inventory(kind: $kind, filter: $filter, search: $search, first: 20, after: $after) {
      nodes { name publisher versions endpoints members { by members } }
      pageInfo { hasNextPage endCursor }
    }
    deploymentGroups { id name }
  }
`);

type Item = InventoryQuery["inventory"]["nodes"][number];

const words: Record<CollectionKind, { one: string; many: string; about: string }> = {
  APPLICATIONS: { one: "program", many: "programs", about: "Programs that endpoints report." },
  USERS: { one: "account", many: "accounts", about: "Accounts that endpoints report as administrators of their machine." },
  MACHINES: { one: "machine", many: "machines", about: "Machines that registered and were not removed." },
};
const ways = [
  { value: "PATH", label: "Path", lacks: "No path that a pattern can name" },
  { value: "SHA256", label: "Hash of the file (SHA-256)", lacks: "No hash reported" },
  { value: "PUBLISHER", label: "Publisher", lacks: "No publisher that a pattern can name" },
] as const satisfies readonly { value: MemberKind; label: string; lacks: string }[];
const systems = ["WINDOWS", "MACOS", "LINUX"] as const satisfies readonly OperatingSystem[];

const keyOf = (item: Item) => JSON.stringify([item.name, item.publisher]);
const namedBy = (item: Item, by: MemberKind) => item.members.find((way) => way.by === by)?.members ?? [];

/** Chooses members of a collection among what endpoints report; what was chosen stays while one searches on. */
export function InventoryPicker({
  kind,
  present,
  onAdd,
  onCancel,
}: {
  kind: CollectionKind;
  /** The members that are there already. */
  present: readonly string[];
  onAdd: (members: string[]) => void;
  onCancel: () => void;
}) {
  const [search, setSearch] = useState("");
  const [group, setGroup] = useState("");
  const [os, setOs] = useState<OperatingSystem | "">("");
  const [way, setWay] = useState<MemberKind>("PATH");
  const [chosen, setChosen] = useState<ReadonlyMap<string, Item>>(new Map());
  const cursor = useCursor();
  const { restart } = cursor;
  useEffect(() => restart(), [search, group, os, restart]);
  const filter = { deploymentGroupId: group || null, os: os ? [os] : null };
  const look = useLook(InventoryLook, { kind, filter, search: search || null, after: cursor.after });
  const by: MemberKind = kind === "USERS" ? "USER" : kind === "MACHINES" ? "MACHINE" : way;
  const word = words[kind];
  const adds = [...new Set([...chosen.values()].flatMap((item) => namedBy(item, by)))].filter((member) => !present.includes(member));
  const narrowed = search !== "" || group !== "" || os !== "";
  const clear = () => {
    setSearch("");
    setGroup("");
    setOs("");
  };
  const toggle = (item: Item) => {
    const next = new Map(chosen);
    if (!next.delete(keyOf(item))) next.set(keyOf(item), item);
    setChosen(next);
  };
  const tick = (item: Item) => {
    const members = namedBy(item, by);
    const there = members.length > 0 && members.every((member) => present.includes(member));
    return (
      <Checkbox
        label={<Visible text={item.name} prose />}
        description={item.publisher ? <Visible text={item.publisher} prose /> : undefined}
        checked={there || (members.length > 0 && chosen.has(keyOf(item)))}
        disabled={there || members.length === 0}
        onChange={() => toggle(item)}
      />
    );
  };
  const member = (item: Item) => {
    const members = namedBy(item, by);
    if (members.length === 0) {
      return <span className="soft">{ways.find((each) => each.value === by)?.lacks ?? "Its name cannot be written as a pattern"}</span>;
    }
    return (
      <span className="chips">
        {members.slice(0, 3).map((each) => (
          <span className="chip" key={each}>
            <Visible text={each} />
          </span>
        ))}
        {members.length > 3 && <span className="soft small">and {members.length - 3} more</span>}
        {members.every((each) => present.includes(each)) && <Tag>Member already</Tag>}
      </span>
    );
  };
  return (
    <div className="stack">
      <p className="soft">{word.about}</p>
      <div className="filters">
        <SearchBox label="Search" placeholder={kind === "APPLICATIONS" ? "Words of the name or publisher…" : "Words of the name…"} value={search} onChange={setSearch} />
        <NativeSelect
          label="Deployment group"
          value={group}
          onChange={(event) => setGroup(event.currentTarget.value)}
          data={[{ value: "", label: "Any" }, ...(look.data?.deploymentGroups ?? []).map(({ id, name }) => ({ value: id, label: name }))]}
        />
        <NativeSelect
          label="System"
          value={os}
          onChange={(event) => setOs(event.currentTarget.value as OperatingSystem | "")}
          data={[{ value: "", label: "Any" }, ...systems.map((value) => ({ value, label: spell(value) }))]}
        />
        {kind === "APPLICATIONS" && (
          <NativeSelect
            label="Add them by"
            value={way}
            onChange={(event) => setWay(event.currentTarget.value as MemberKind)}
            data={ways.map(({ value, label }) => ({ value, label }))}
          />
        )}
      </div>
      <div className="inset">
        <Ready look={look} lines={6}>
          {({ inventory }) =>
            inventory.nodes.length > 0 ? (
              <Table
                caption={`What endpoints report: ${word.many}`}
                rows={inventory.nodes}
                rowKey={keyOf}
                columns={[
                  { label: spell(word.one), bare: true, wide: true, cell: tick },
                  { label: "Adds", cell: member },
                  ...(kind === "USERS" ? [] : [{ label: "Version", cell: (item: Item) => <Versions of={item.versions} /> }]),
                  { label: "Endpoints", cell: (item) => <span className="number">{item.endpoints}</span> },
                ]}
              />
            ) : narrowed ? (
              <Empty title={`No ${word.one} fits`} action={<Button variant="default" onClick={clear}>Clear filters</Button>} />
            ) : (
              <Empty title={kind === "MACHINES" ? "No machine has registered" : "No endpoint has reported any"}>
                Agents report when they start, and once a day from then on. <Link to="/endpoints/groups">Register a machine</Link> with a token of
                its deployment group; until then, members can be typed.
              </Empty>
            )
          }
        </Ready>
      </div>
      {look.data && <Pager cursor={cursor} pageInfo={look.data.inventory.pageInfo} />}
      <div className="savebar">
        <span className="soft" role="status">
          {chosen.size === 0 ? `No ${word.one} is chosen` : `${chosen.size} ${chosen.size === 1 ? word.one : word.many} chosen`}
        </span>
        <div className="row">
          <Button variant="default" onClick={onCancel}>
            Back
          </Button>
          <Button disabled={adds.length === 0} onClick={() => onAdd(adds)}>
            {adds.length === 0 ? "Add members" : adds.length === 1 ? "Add 1 member" : `Add ${adds.length} members`}
          </Button>
        </div>
      </div>
    </div>
  );
}

function Versions({ of: versions }: { of: readonly string[] }) {
  if (versions.length === 0) return <span className="soft">Unknown</span>;
  return (
    <>
      <Visible text={versions.slice(0, 3).join(", ")} prose />
      {versions.length > 3 && <span className="soft small"> and {versions.length - 3} more</span>}
    </>
  );
}
