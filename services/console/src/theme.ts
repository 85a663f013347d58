import { createTheme, DEFAULT_THEME, type MantineColorsTuple, mergeMantineTheme } from "@mantine/core";

const ink: MantineColorsTuple = [
  "#eef1fb", "#dde2f5", "#bac4ea", "#95a4e0", "#7487d6", "#5f75d0", "#4f66c6", "#3e53b2", "#3549a0", "#273a86",
];

/** Bluish greys for the dark scheme: 0 is text, 4 lines, 6 inputs, 7 surfaces. */
const dark: MantineColorsTuple = [
  "#e6e9ef", "#c5ccd8", "#a7b0be", "#8a94a3", "#424b59", "#39414e", "#222832", "#1a1e26", "#12151b", "#0c0e13",
];

/** For approving and refusing: white text on shades 6 and 7 has a contrast above 5. */
const pine: MantineColorsTuple = [
  "#e9f6ed", "#d3ecdb", "#a6d8b6", "#77c490", "#4fb170", "#35a15a", "#1f7a3d", "#1f7a3d", "#196533", "#124b26",
];
const brick: MantineColorsTuple = [
  "#fdecec", "#f8d5d5", "#eca9a9", "#e17b7b", "#d75656", "#cf3f3f", "#b42c2c", "#b42c2c", "#972525", "#741c1c",
];

/**
 * A modal `dialog` makes everything outside of it inert, a list in a portal too; so lists open beside their field, and
 * fixed, so that the dialog's edge cuts nothing off.
 */
const beside = { withinPortal: false, floatingStrategy: "fixed", shadow: "md" } as const;

/** The one description of colours and type; theme.css is made from it when the console is built. */
export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  colors: { ink, pine, brick, dark },
  black: "#1c2330",
  defaultRadius: "sm",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
  headings: { fontWeight: "650" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    // The list itself scrolls: readers of the screen know how to move in it.
    MultiSelect: { defaultProps: { comboboxProps: beside, withScrollArea: false, classNames: { options: "options" } } },
    TagsInput: { defaultProps: { comboboxProps: beside } },
  },
});

export const wholeTheme = mergeMantineTheme(DEFAULT_THEME, theme);
