const paths = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-4H4zM14 8h6V4h-6z",
  requests: "M4 6h16M4 12h10M4 18h7M16 17l2 2 4-5",
  policies: "M12 3l8 3v6c0 5-3.4 8-8 9-4.600-1-8-4-8-9V6zM9 12l2 2 4-4",
  collections: "M4 7h16v13H4zM7 7V4h10v3M4 12h16",
  rules: "M6 4v6M6 14v6M4 12h4M18 4v3M18 13v7M16 10h4M12 4v10M12 18v2M10 16h4",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM3 20c0-4 2.500-6 6-6s6 2 6 6M16 5a3 3 0 0 1 0 6M18 14c2 .6 3 2.600 3 6",
  endpoints: "M3 5h18v11H3zM8 20h8M12 16v4",
  audit: "M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7",
  settings: "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 2v4M12 18v4M2 12h4M18 12h4M5 5l2.800 2.800M16.200 16.200 19 19M19 5l-2.800 2.800M7.800 16.200 5 19",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
