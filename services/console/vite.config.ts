import { convertCssVariables, defaultCssVariablesResolver } from "@mantine/core";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { wholeTheme } from "./src/theme.ts";
import { worldServer } from "./tests/world/server.ts";

/**
 * Mantine would write its variables into an inline `<style>`, which the content security policy refuses. They are
 * the same for everybody, so they become a file: `import "virtual:theme.css"`.
 */
function themeCss(): Plugin {
  const name = "virtual:theme.css";
  return {
    name: "portcullis-theme-css",
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    load: (id) => (id === `\0${name}` ? convertCssVariables(defaultCssVariablesResolver(wholeTheme)) : undefined),
  };
}

const server = process.env.PORTCULLIS_URL ?? "http://127.0.0.1:8080";
const doors = Object.fromEntries(
  ["/graphql", "/auth"].map((path) => [path, { target: server, ws: path === "/graphql", changeOrigin: false }]),
);
const pretend = process.env.PORTCULLIS_PRETEND === "1";

export default defineConfig({
  plugins: [react(), themeCss(), ...(pretend ? [worldServer()] : [])],
  server: { proxy: pretend ? {} : doors },
  preview: { proxy: pretend ? {} : doors },
  build: {
    target: "es2022",
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: "happy-dom",
    include: ["tests/unit/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/unit/setup.ts"],
    css: false,
    testTimeout: 30_000,
    pool: "threads",
    maxWorkers: 2,
  },
});
