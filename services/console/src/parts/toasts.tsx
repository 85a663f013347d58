import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from "react";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const Context = createContext<(text: string, bad?: boolean) => void>(() => undefined);

/** Says for six seconds what was done, politely to screen readers. */
export function useToast(): (text: string, bad?: boolean) => void {
  return useContext(Context);
}

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(1);
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const say = useCallback(
    (text: string, bad = false) => {
      const id = next.current++;
      setToasts((all) => [...all.slice(-3), { id, text, bad }]);
      setTimeout(() => drop(id), 6000);
    },
    [drop],
  );
  const value = useMemo(() => say, [say]);
  return (
    <Context value={value}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toasts.map((toast) => (
          <div key={toast.id} className={toast.bad ? "toast toast--bad" : "toast"}>
            <span className="toast__text">{toast.text}</span>
            <button type="button" className="rail__quiet small" onClick={() => drop(toast.id)}>
              Dismiss
            </button>
          </div>
        ))}
      </div>
    </Context>
  );
}
