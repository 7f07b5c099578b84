import type { Second } from "../model/views.ts";
import { element } from "./dom.ts";

const HEADS = ["second", "offered", "admitted", "factor at its end"];

/** The numbers behind the charts, made only for those who open it: a long run has many rows. */
export function tableOf(
  label: string,
  seconds: readonly Second[],
  factors: readonly number[],
  frameMs: number,
): HTMLElement {
  const details = element("details", {}, element("summary", {}, "The numbers as a table"));
  details.addEventListener("toggle", () => {
    if (details.querySelector("table") !== null) return;
    const head = element("tr", {}, ...HEADS.map((text) => element("th", { scope: "col" }, text)));
    const rows = seconds.map(({ offered, admitted }, second) => {
      const frame = Math.min(factors.length - 1, Math.round(((second + 1) * 1_000) / frameMs));
      const cells = [offered, admitted, factors[frame]!.toFixed(3)].map((cell) => element("td", {}, String(cell)));
      return element("tr", {}, element("th", { scope: "row" }, String(second + 1)), ...cells);
    });
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    details.append(element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table));
  });
  return details;
}
