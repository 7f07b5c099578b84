// The page: settings in the URL, a run of the library for them, and a panel for each strategy.

import "uplot/dist/uPlot.min.css";
import { fromHash, settled, toHash } from "./model/settings.ts";
import { simulate } from "./model/simulation.ts";
import { snippetOf } from "./model/snippet.ts";
import { makeControls } from "./view/controls.ts";
import { byId } from "./view/dom.ts";
import { Panel } from "./view/panel.ts";
import { Player } from "./view/player.ts";
import { makeTransport } from "./view/transport.ts";

let settings = fromHash(location.hash);
let panels: Panel[] = [];

const player = new Player(() => move());
const showTransport = makeTransport(player);
const controls = makeControls((change) => {
  settings = settled({ ...settings, ...change });
  history.replaceState(null, "", `#${toHash(settings)}`);
  run();
});

function run(): void {
  const simulation = simulate(settings);
  const { load } = simulation;
  settings = simulation.settings;
  for (const panel of panels) panel.destroy();
  panels = simulation.runs.map((strategy) => new Panel(simulation, strategy, (ms) => player.seek(ms)));
  byId("panels").replaceChildren(...panels.map(({ box }) => box));
  const problem = byId("problem");
  problem.hidden = load.problem === undefined;
  problem.textContent = load.problem ?? "";
  byId("code").textContent = snippetOf(settings);
  const second = settings.secondLimit > 0 ? `, ${settings.secondLimit} in ${settings.secondWindowMs / 1_000} s` : "";
  byId("settings-summary").textContent =
    `${settings.ratePerSecond}/s, window ${settings.windowMs / 1_000} s${second}, ${load.calls.length.toLocaleString("en")} calls`;
  controls.show(settings, load.clients);
  player.load(load.seconds * 1_000);
  draw();
  move();
}

function draw(): void {
  for (const panel of panels) panel.draw();
}

function move(): void {
  showTransport();
  for (const panel of panels) panel.moveTo(player.nowMs, !player.playing);
  if (!player.playing) say(panels.map((panel) => panel.summary).join(" "));
}

let saying: ReturnType<typeof setTimeout> | undefined;

/** Tells a screen reader, once things have come to rest. */
function say(text: string): void {
  clearTimeout(saying);
  saying = setTimeout(() => {
    byId("status").textContent = text;
  }, 400);
}

async function copy(text: string, button: HTMLElement): Promise<void> {
  const label = button.textContent;
  const copied = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  button.textContent = copied ? "Copied" : "Copying failed";
  say(button.textContent);
  setTimeout(() => {
    button.textContent = label;
  }, 1_600);
}

byId("copy-link").addEventListener("click", (event) => copy(location.href, event.currentTarget as HTMLElement));
byId("copy-code").addEventListener("click", (event) => copy(snippetOf(settings), event.currentTarget as HTMLElement));

const narrow = matchMedia("(max-width: 900px)");
byId<HTMLDetailsElement>("settings").open = !narrow.matches;

addEventListener("hashchange", () => {
  settings = fromHash(location.hash);
  run();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  draw();
  move();
});

run();

let width = byId("panels").clientWidth;
new ResizeObserver(() => {
  if (byId("panels").clientWidth === width) return;
  width = byId("panels").clientWidth;
  draw();
  move();
}).observe(byId("panels"));
