import { type ReactNode, useEffect } from "react";
import { Link, NavLink } from "react-router";

export interface PageProps {
  title: string;
  /** Shown in the heading where it differs from the document's title. */
  heading?: ReactNode;
  about?: ReactNode;
  trail?: { to: string; label: string };
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: title, what it is for, what can be done. */
export function Page({ title, heading, about, trail, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Portcullis`;
  }, [title]);
  return (
    <div className="page">
      <div className="page__head">
        <div className="page__titles">
          {trail && (
            <nav className="page__trail" aria-label="Breadcrumb">
              <Link to={trail.to}>{trail.label}</Link>
            </nav>
          )}
          <h1>{heading ?? title}</h1>
          {about && <p className="soft">{about}</p>}
        </div>
        {actions && <div className="row">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export function Card({
  title,
  actions,
  flush = false,
  foot,
  children,
}: {
  title?: string;
  actions?: ReactNode;
  flush?: boolean;
  foot?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="card" aria-label={title}>
      {(title || actions) && (
        <div className="card__head">
          {title && <h2>{title}</h2>}
          {actions && <div className="row">{actions}</div>}
        </div>
      )}
      <div className={flush ? "card__body card__body--flush" : "card__body"}>{children}</div>
      {foot && <div className="card__foot">{foot}</div>}
    </section>
  );
}

/** Tabs are addresses, so that they can be linked and the browser's back button works. */
export function Tabs({ label, tabs }: { label: string; tabs: { to: string; label: string; end?: boolean }[] }) {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <NavLink key={tab.to} to={tab.to} end={tab.end ?? true}>
          {tab.label}
        </NavLink>
      ))}
    </nav>
  );
}

/** Names and values; a value of null is left out. */
export function Facts({ items }: { items: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {items
        .filter(([, value]) => value !== null && value !== undefined && value !== false)
        .map(([name, value]) => (
          <FactPair key={name} name={name} value={value} />
        ))}
    </dl>
  );
}

function FactPair({ name, value }: { name: string; value: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}
