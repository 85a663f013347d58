import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// What happy-dom lacks and Mantine asks for.
class NoResizeObserver {
  observe() {}
  unobserve() {}
  disconnect() {}
}
vi.stubGlobal("ResizeObserver", NoResizeObserver);
window.matchMedia = ((query: string) => ({
  matches: false,
  media: query,
  onchange: null,
  addListener() {},
  removeListener() {},
  addEventListener() {},
  removeEventListener() {},
  dispatchEvent: () => false,
})) as unknown as typeof window.matchMedia;
Object.defineProperty(document, "fonts", { value: new EventTarget() });
window.scrollTo = (() => undefined) as typeof window.scrollTo;
Element.prototype.scrollIntoView = () => undefined;

// A failed look-up names what it looked for; the whole page is not printed with it.
// The time is for machines that build something else meanwhile.
configure({ asyncUtilTimeout: 10_000, getElementError: (message) => new Error(message ?? "not found") });
afterEach(() => cleanup());
