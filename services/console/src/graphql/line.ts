import { useSyncExternalStore } from "react";

/** Whether changes arrive by subscription (`live`) or the pages ask again by themselves (`asking`). */
export type Line = "live" | "asking";

let line: Line = "asking";
const listeners = new Set<() => void>();

/** Called by the WebSocket client when it connects or loses the connection. */
export function setLine(next: Line): void {
  if (next === line) return;
  line = next;
  for (const listener of listeners) listener();
}

export function useLine(): Line {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => line,
  );
}
