import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { Boundary } from "../../src/parts/boundary";

afterEach(() => vi.restoreAllMocks());

function Broken(): never {
  throw new TypeError("Failed to fetch dynamically imported module");
}

it("a page whose code cannot be fetched leaves a way on, and says nothing of its insides", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const at = (path: string, page: ReactNode) => (
    <MantineProvider>
      <Boundary path={path}>{page}</Boundary>
    </MantineProvider>
  );
  const { rerender } = render(at("/a", <Broken />));
  screen.getByRole("button", { name: "Load again" });
  expect(document.title).toBe("This page could not be shown · Portcullis");
  expect(screen.getByRole("alert").textContent).not.toContain("dynamically");
  rerender(at("/b", <h1>Another page</h1>));
  screen.getByRole("heading", { name: "Another page" });
});
