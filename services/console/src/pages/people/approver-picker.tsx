import { MultiSelect } from "@mantine/core";

export interface PeopleChoice {
  users: { id: string; name?: string | null; email?: string | null }[];
  teams: { id: string; name: string }[];
}

export interface Side {
  userIds: string[];
  teamIds: string[];
}

export function sideOf(approvers: { users: { id: string }[]; teams: { id: string }[] } | undefined): Side {
  return {
    userIds: approvers?.users.map((user) => user.id) ?? [],
    teamIds: approvers?.teams.map((team) => team.id) ?? [],
  };
}

/** Chooses users and teams in one field. */
export function ApproverPicker({
  label,
  description,
  people,
  value,
  onChange,
  error,
  disabled = false,
}: {
  label: string;
  description?: string;
  people: PeopleChoice;
  value: Side;
  onChange: (value: Side) => void;
  error?: string | undefined;
  disabled?: boolean;
}) {
  const teams = new Set(people.teams.map((team) => team.id));
  const chosen = [...value.teamIds, ...value.userIds];
  return (
    <MultiSelect
      label={label}
      description={description}
      placeholder={chosen.length === 0 ? "Teams and people" : undefined}
      searchable
      disabled={disabled}
      value={chosen}
      error={error}
      onChange={(ids) => onChange({ userIds: ids.filter((id) => !teams.has(id)), teamIds: ids.filter((id) => teams.has(id)) })}
      data={[
        { group: "Teams", items: people.teams.map((team) => ({ value: team.id, label: team.name })) },
        { group: "People", items: people.users.map((user) => ({ value: user.id, label: user.name ?? user.email ?? user.id })) },
      ]}
    />
  );
}
