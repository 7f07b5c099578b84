// What operations/dashboard.json says: its panels, and their queries as Grafana would send them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/process.js";

export interface Query {
  readonly expression: string;
  /** The name of each series: text with labels in braces, as in `{{provider}} sent`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** A row is a heading without queries. */
  readonly type: "row" | "timeseries";
  /** Where the panel is, in units of which 24 are as wide as the dashboard. */
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  /** As Grafana names it, such as `reqps`. A row has none. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

interface PanelFile extends Pick<Panel, "title" | "type" | "gridPos"> {
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export function readPanels(): readonly Panel[] {
  const { panels } = JSON.parse(readFileSync(join(ROOT, "operations", "dashboard.json"), "utf8"));
  return panels.map(({ title, type, gridPos, fieldConfig, targets = [] }: PanelFile) => ({
    title,
    type,
    gridPos,
    unit: fieldConfig?.defaults.unit ?? "",
    queries: targets.map(({ expr, legendFormat }) => ({
      expression: expr.replaceAll("$__rate_interval", "10s").replaceAll("$job", ".*"),
      legend: legendFormat,
    })),
  }));
}
