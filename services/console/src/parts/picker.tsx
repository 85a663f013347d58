import { type ComboboxItem, type ComboboxItemGroup, MultiSelect, type OptionsFilter } from "@mantine/core";
import { useRef, useState } from "react";

export interface Choice {
  id: string;
  label: string;
  /** Tells it from others of its name. */
  detail?: string | undefined;
}

/** What an option is that shows more of them; no id looks like it. */
const MORE = "more:";

export interface PickerProps {
  label: string;
  description?: string;
  placeholder?: string;
  error?: string | undefined;
  disabled?: boolean;
  /** One at most: the next choice takes its place. */
  single?: boolean;
  className?: string;
  value: readonly string[];
  onChange: (ids: string[]) => void;
  /** Names of what was chosen before, which need not be among the choices. */
  known: readonly Choice[];
  groups: readonly { label?: string; choices: readonly Choice[] }[];
  search: string;
  onSearch: (text: string) => void;
  /** Shows more choices; undefined where all are shown. */
  more: (() => void) | undefined;
  busy: boolean;
  /** Why there are no choices, where it is not that none fits. */
  problem?: string | undefined;
}

/** Chooses from a list too long to be shown: the server searches it, and what was chosen keeps its name. */
export function Picker({ label, description, placeholder, error, disabled = false, single = false, className, value, onChange, known, groups, search, onSearch, more, busy, problem }: PickerProps) {
  const [open, setOpen] = useState(false);
  const names = useRef(new Map<string, Choice>());
  for (const choice of [...known, ...groups.flatMap((group) => group.choices)]) names.current.set(choice.id, choice);
  const shown = new Set(groups.flatMap((group) => group.choices.map((choice) => choice.id)));
  const option = (id: string) => ({ value: id, label: names.current.get(id)?.label ?? id });
  const listed = groups.flatMap((group): (ComboboxItem | ComboboxItemGroup<ComboboxItem>)[] => {
    const items = group.choices.map((choice) => option(choice.id));
    return group.label ? [{ group: group.label, items }] : items;
  });
  const last = more && !busy ? [{ value: MORE, label: "Show more" }] : [];
  const hidden = value.filter((id) => !shown.has(id));
  // The server has searched: all that it found is shown, and nothing else.
  const filter: OptionsFilter = ({ options }) => options.filter((each) => "group" in each || !hidden.includes(String(each.value)));
  const change = (ids: string[]) => {
    if (ids.includes(MORE)) return more?.();
    onSearch("");
    if (single) setOpen(false);
    onChange(single ? ids.slice(-1) : ids);
  };
  return (
    <MultiSelect
      className={className}
      label={label}
      description={description}
      placeholder={value.length === 0 ? placeholder : undefined}
      error={error}
      disabled={disabled}
      searchable
      searchValue={search}
      onSearchChange={onSearch}
      clearSearchOnChange={false}
      dropdownOpened={open}
      onDropdownOpen={() => setOpen(true)}
      onDropdownClose={() => setOpen(false)}
      value={[...value]}
      onChange={change}
      data={[...listed, ...last, ...hidden.map(option)]}
      filter={filter}
      nothingFoundMessage={problem ?? (busy ? "Searching…" : "Nothing fits")}
      renderOption={({ option: { value: id, label: text }, checked }) => <Option text={String(text)} detail={names.current.get(String(id))?.detail} checked={checked === true} more={id === MORE} />}
    />
  );
}

function Option({ text, detail, checked, more }: { text: string; detail: string | undefined; checked: boolean; more: boolean }) {
  return (
    <span className={more ? "option option--more" : "option"}>
      <span className="option__mark" aria-hidden="true">
        {checked && "✓"}
      </span>
      <span className="option__text">
        {text}
        {detail && <span className="soft small option__detail">{detail}</span>}
      </span>
    </span>
  );
}
