import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

it("every Mantine component in use has its style sheet", () => {
  const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"));
  const used = new Set<string>();
  for (const name of sources) {
    for (const found of readFileSync(join("src", name), "utf8").matchAll(/import \{([^}]+)\} from "@mantine\/core"/g)) {
      for (const component of (found[1] ?? "").split(",")) used.add(component.trim());
    }
  }
  const sheet = readFileSync("src/styles/mantine.ts", "utf8");
  const missing = [...used].filter(
    (component) => existsSync(`node_modules/@mantine/core/styles/${component}.css`) && !sheet.includes(`/styles/${component}.css`),
  );
  expect(used.size).toBeGreaterThan(8);
  expect(missing).toEqual([]);
});
