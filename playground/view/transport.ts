import { byId, element, number } from "./dom.ts";
import { type Player, SPEEDS } from "./player.ts";

/** The buttons that play, pause, scrub and set the speed; call the result when the player has moved. */
export function makeTransport(player: Player): () => void {
  const play = element("button", { type: "button", class: "play primary" });
  const scrub = element("input", { type: "range", min: 0, step: 100, "aria-label": "Time in the run" });
  const time = element("output", { "aria-hidden": "true" });
  const speeds = SPEEDS.map((speed) =>
    element("option", { value: speed, selected: speed === player.speed }, `${speed}×`),
  );
  const speed = element("select", {}, ...speeds);
  play.addEventListener("click", () => player.toggle());
  scrub.addEventListener("input", () => {
    if (player.playing) player.toggle();
    player.seek(scrub.valueAsNumber);
  });
  speed.addEventListener("change", () => {
    player.speed = Number(speed.value);
  });
  const box = element("div", { class: "scrub" }, scrub);
  byId("transport").append(play, box, time, element("label", {}, "Speed", speed));
  return () => {
    play.textContent = player.playing ? "Pause" : player.nowMs >= player.endMs ? "Replay" : "Play";
    scrub.max = String(player.endMs);
    scrub.value = String(player.nowMs);
    const now = number(player.nowMs / 1_000, 1);
    scrub.setAttribute("aria-valuetext", `${now} of ${player.endMs / 1_000} seconds`);
    time.textContent = `${now} s of ${player.endMs / 1_000} s`;
  };
}
