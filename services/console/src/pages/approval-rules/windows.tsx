import { NumberInput, Switch } from "@mantine/core";
import type { RequestWindowsInput } from "../../gql/graphql";
import { duration } from "../../parts/time";

export interface WindowsDraft {
  pendingMinutes: number;
  escalatedMinutes: number;
  grantMinutes: number;
  /** Null is unlimited. */
  grantUses: number | null;
}

export function windowsDraft(windows: { pendingMinutes: number; escalatedMinutes: number; grantMinutes: number; grantUses?: number | null }): WindowsDraft {
  return {
    pendingMinutes: windows.pendingMinutes,
    escalatedMinutes: windows.escalatedMinutes,
    grantMinutes: windows.grantMinutes,
    grantUses: windows.grantUses ?? null,
  };
}

export function windowsInput(draft: WindowsDraft): RequestWindowsInput {
  return { ...draft, unlimitedUses: draft.grantUses === null };
}

/** The time windows of requests and grants, for the settings and for one rule. */
export function WindowsFields({
  value,
  onChange,
  error,
  disabled = false,
}: {
  value: WindowsDraft;
  onChange: (value: WindowsDraft) => void;
  error: (field: string) => string | undefined;
  disabled?: boolean;
}) {
  const minutes = (field: "pendingMinutes" | "escalatedMinutes" | "grantMinutes", label: string) => (
    <NumberInput
      label={label}
      description={`Minutes: ${duration(value[field])}`}
      min={1}
      allowDecimal={false}
      disabled={disabled}
      value={value[field]}
      error={error(field)}
      onChange={(next) => onChange({ ...value, [field]: Number(next) })}
    />
  );
  return (
    <div className="stack">
      <div className="fields">
        {minutes("pendingMinutes", "Waits until escalation or expiry")}
        {minutes("escalatedMinutes", "Waits after escalation")}
        {minutes("grantMinutes", "Grant can be used")}
        <NumberInput
          label="Uses of a grant"
          description="1 to 1,000"
          min={1}
          max={1000}
          allowDecimal={false}
          disabled={disabled || value.grantUses === null}
          value={value.grantUses ?? ""}
          error={error("grantUses")}
          onChange={(next) => onChange({ ...value, grantUses: Number(next) })}
        />
      </div>
      <Switch
        label="Unlimited uses"
        disabled={disabled}
        checked={value.grantUses === null}
        onChange={(event) => onChange({ ...value, grantUses: event.currentTarget.checked ? null : 1 })}
      />
    </div>
  );
}
