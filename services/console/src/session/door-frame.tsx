import { type ReactNode, useEffect } from "react";
import { Logo } from "../shell/logo";

/** The card in the middle of the pages in front of the console. */
export function DoorFrame({ title, about, children }: { title: string; about?: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Portcullis`;
  }, [title]);
  return (
    <main className="door">
      <div className="card door__card">
        <div className="door__brand">
          <Logo />
          <h1>{title}</h1>
          {about && <p className="soft">{about}</p>}
        </div>
        {children}
      </div>
    </main>
  );
}
