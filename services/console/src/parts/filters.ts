import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";

/** Filters live in the address, so that a filtered list can be sent to a colleague. */
export function useFilters<Name extends string>(names: readonly Name[]): {
  values: Record<Name, string>;
  set: (name: Name, value: string) => void;
  any: boolean;
  clear: () => void;
} {
  const [params, setParams] = useSearchParams();
  const values = useMemo(
    () => Object.fromEntries(names.map((name) => [name, params.get(name) ?? ""])) as Record<Name, string>,
    [names, params],
  );
  const set = useCallback(
    (name: Name, value: string) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          if (value) after.set(name, value);
          else after.delete(name);
          return after;
        },
        { replace: true },
      ),
    [setParams],
  );
  const clear = useCallback(() => setParams({}, { replace: true }), [setParams]);
  return { values, set, any: names.some((name) => values[name] !== ""), clear };
}
