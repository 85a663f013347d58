import { useCallback, useState } from "react";

/** A call to one of the doors under `/auth`: whether it runs, and why it was refused. */
export interface Tried {
  running: boolean;
  refusal: string | undefined;
  /** Runs the work; false where it was refused. */
  run: (work: () => Promise<void>) => Promise<boolean>;
}

export function useTry(): Tried {
  const [running, setRunning] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const run = useCallback(async (work: () => Promise<void>) => {
    setRunning(true);
    setRefusal(undefined);
    try {
      await work();
      return true;
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "That did not work.");
      return false;
    } finally {
      setRunning(false);
    }
  }, []);
  return { running, refusal, run };
}
