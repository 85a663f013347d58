import { useEffect, useState } from "react";

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const seconds = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

/** `in 12 minutes`, `3 hours ago`: rounded towards now, so that a deadline never looks further away than it is. */
export function fromNow(at: number, now: number): string {
  const seconds = Math.trunc((at - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return seconds < 0 || size < 5 ? "just now" : "in under a minute";
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3600), "hour");
  return relative.format(Math.trunc(seconds / 86_400), "day");
}

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** `2026-11-26` → `26 Nov 2026`; a day of the calendar, wherever one reads it. */
export function dayText(day: string): string {
  return date.format(new Date(`${day}T00:00:00Z`));
}

/** `10592` → `10,592`. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** `90` → `1 h 30 min`; used for windows of settings and grants. */
export function duration(minutes: number): string {
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  const rest = minutes % 60;
  const parts = [days ? `${days} d` : "", hours ? `${hours} h` : "", rest ? `${rest} min` : ""].filter(Boolean);
  return parts.join(" ") || "0 min";
}

/** The present time in milliseconds, renewed every `every` milliseconds. */
export function useNow(every = 15_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/**
 * A moment: relative while it is near, with the exact local time in the title. `plain` shows the date and time with its
 * zone, `exactly` the seconds too.
 */
export function When({ at, plain = false, exactly = false }: { at: string; plain?: boolean; exactly?: boolean }) {
  const now = useNow();
  const moment = new Date(at);
  const near = Math.abs(moment.getTime() - now) < 7 * 86_400_000;
  return (
    <time dateTime={at} title={exact.format(moment)} className="nowrap">
      {exactly ? seconds.format(moment) : near && !plain ? fromNow(moment.getTime(), now) : absolute.format(moment)}
    </time>
  );
}
