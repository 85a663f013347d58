import { useState } from "react";
import { graphql } from "../../gql";
import { useLook } from "../../graphql/hooks";
import { Picker } from "../../parts/picker";
import { choiceOf, usePeople } from "./people";

const TeamsLook = graphql(`
  query TeamsToChoose {
    teams { id name }
  }
`);

export interface Side {
  userIds: string[];
  teamIds: string[];
}

/** A side as it stands, with names. */
export interface KnownSide {
  users: { id: string; name?: string | null; email?: string | null }[];
  teams: { id: string; name: string }[];
}

export function sideOf(approvers: KnownSide | undefined): Side {
  return {
    userIds: approvers?.users.map((user) => user.id) ?? [],
    teamIds: approvers?.teams.map((team) => team.id) ?? [],
  };
}

/** How many teams are shown at first, and how many more each time. */
const TEAMS = 50;

/** Chooses users and teams in one field. */
export function ApproverPicker({
  label,
  description,
  known,
  value,
  onChange,
  error,
  disabled = false,
}: {
  label: string;
  description?: string;
  known: KnownSide | undefined;
  value: Side;
  onChange: (value: Side) => void;
  error?: string | undefined;
  disabled?: boolean;
}) {
  const people = usePeople({ pause: disabled });
  const look = useLook(TeamsLook, {}, { names: ["Team"], pause: disabled });
  const [most, setMost] = useState(TEAMS);
  const all = look.data?.teams ?? [];
  const words = people.search.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = all.filter((team) => words.every((word) => team.name.toLowerCase().includes(word)));
  const isTeam = new Set([...value.teamIds, ...all.map((team) => team.id)]);
  const { more } = people;
  const next = () => {
    setMost(most + TEAMS);
    more?.();
  };
  return (
    <Picker
      label={label}
      description={description}
      placeholder="Teams and people"
      disabled={disabled}
      error={error}
      value={[...value.teamIds, ...value.userIds]}
      onChange={(ids) => onChange({ userIds: ids.filter((id) => !isTeam.has(id)), teamIds: ids.filter((id) => isTeam.has(id)) })}
      known={[...(known?.teams ?? []).map((team) => ({ id: team.id, label: team.name })), ...(known?.users ?? []).map(choiceOf)]}
      groups={[
        { label: "Teams", choices: fitting.slice(0, most).map((team) => ({ id: team.id, label: team.name })) },
        { label: "People", choices: people.rows.map(choiceOf) },
      ]}
      search={people.search}
      onSearch={people.setSearch}
      more={more || fitting.length > most ? next : undefined}
      busy={people.busy}
      problem={(people.problem ?? look.problem)?.message}
    />
  );
}
