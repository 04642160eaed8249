/** Histograms of where turns' time went, out of what Prometheus is told. @module */

import { h } from "./dom.js";
import { wait } from "./words.js";

const STAGES = [
  ["response", "Total"],
  ["endpoint", "Pause"],
  ["stt", "Recognition"],
  ["llm_first_clause", "Model"],
  ["tts_first_audio", "Voice"],
];

/**
 * @param {string} metrics in Prometheus' text format
 * @returns {Map<string, {bounds: number[], counts: number[]}>} for each stage how many turns ended below each bound, in s, and not below the one before
 */
export function histograms(metrics) {
  const found = new Map();
  for (const [, labels, value] of metrics.matchAll(/^media_server_turn_seconds_bucket\{(.*?)\} (.*)$/gm)) {
    const stage = /stage="(.*?)"/.exec(labels)?.[1] ?? "";
    const bound = Number((/le="(.*?)"/.exec(labels)?.[1] ?? "").replace("+Inf", "Infinity"));
    if (!found.has(stage)) found.set(stage, { bounds: [], counts: [], seen: 0 });
    const histogram = found.get(stage);
    histogram.bounds.push(bound);
    histogram.counts.push(Number(value) - histogram.seen);
    histogram.seen = Number(value);
  }
  return found;
}

/** @param {{bounds: number[], counts: number[]}} histogram @param {number} share @returns {string} the bound below which this share of turns stayed */
export function below({ bounds, counts }, share) {
  const all = counts.reduce((a, b) => a + b, 0);
  let passed = 0;
  const i = counts.findIndex((c) => (passed += c) >= share * all);
  return bounds[i] === Infinity ? `over ${wait(bounds[i - 1] * 1000)}` : `up to ${wait(bounds[i] * 1000)}`;
}

/** @param {HTMLElement} root @param {string} metrics @returns {boolean} whether there is anything to see */
export function draw(root, metrics) {
  const all = histograms(metrics);
  const rows = STAGES.filter(([stage]) => all.get(stage)?.counts.some((c) => c)).map(([stage, name]) => {
    const histogram = /** @type {{bounds: number[], counts: number[]}} */ (all.get(stage));
    const { bounds, counts } = histogram;
    const most = Math.max(...counts);
    const turns = counts.reduce((a, b) => a + b, 0);
    const figures = `median ${below(histogram, 0.5)}, 95th percentile ${below(histogram, 0.95)}`;
    const bars = h(
      "div",
      { class: "bars", role: "img", "aria-label": `${name}: ${turns} turns, ${figures}` },
      ...counts.map((count, i) => {
        const bound = bounds[i] === Infinity ? `over ${wait(bounds[i - 1] * 1000)}` : `up to ${wait(bounds[i] * 1000)}`;
        const bar = h("i", { title: `${bound}: ${count} ${count === 1 ? "turn" : "turns"}` });
        bar.style.height = `${(100 * count) / most}%`;
        return bar;
      }),
    );
    return h(
      "div",
      { class: "chart" },
      h("b", {}, name),
      h("small", {}, `${turns} ${turns === 1 ? "turn" : "turns"} · ${figures}`),
      bars,
      axis(bounds),
    );
  });
  root.replaceChildren(...rows);
  return rows.length > 0;
}

/** Some of the bounds under the bars. @param {number[]} bounds */
function axis(bounds) {
  const labels = bounds.map((bound, i) => h("span", {}, i % 4 === 3 && bound !== Infinity ? wait(bound * 1000) : ""));
  return h("div", { class: "axis", "aria-hidden": "true" }, ...labels);
}
