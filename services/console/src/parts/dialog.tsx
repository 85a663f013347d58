import { CloseButton } from "@mantine/core";
import { type ReactNode, useEffect, useId, useRef } from "react";

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  wide?: boolean;
  children: ReactNode;
}

/** A modal on the browser's own `dialog`: focus, Escape and the backdrop are its. */
export function Dialog({ open, onClose, title, wide = false, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      className={wide ? "dialog dialog--modal dialog--wide" : "dialog dialog--modal"}
      aria-labelledby={heading}
      onKeyDownCapture={(event) => {
        // Escape closes an open list of choices first, and keeps what was typed into the form around it.
        if (event.key === "Escape" && element.current?.querySelector("[aria-expanded='true']")) event.preventDefault();
      }}
      onCancel={(event) => {
        // React hands on what a dialog inside this one was told.
        if (event.target !== element.current) return;
        event.preventDefault();
        onClose();
      }}
    >
      {open && (
        <>
          <div className="dialog__head">
            <h2 id={heading}>{title}</h2>
            <CloseButton aria-label="Close" onClick={onClose} />
          </div>
          <div className="dialog__body">{children}</div>
        </>
      )}
    </dialog>
  );
}
