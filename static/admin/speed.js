/** Histograms of where turns' time went, out of what Prometheus is told. @module */

const STAGES = [["response", "in all"], ["endpoint", "pause"], ["stt", "recognition"], ["llm_first_clause", "model"], ["tts_first_audio", "voice"]];

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
    const h = found.get(stage);
    h.bounds.push(bound);
    h.counts.push(Number(value) - h.seen);
    h.seen = Number(value);
  }
  return found;
}

/** @param {{bounds: number[], counts: number[]}} h @param {number} share @returns {string} the bound below which this share of turns stayed */
export function below({ bounds, counts }, share) {
  const all = counts.reduce((a, b) => a + b, 0);
  let passed = 0;
  const i = counts.findIndex((c) => (passed += c) >= share * all);
  return bounds[i] === Infinity ? `> ${bounds[i - 1] * 1000} ms` : `≤ ${Math.round(bounds[i] * 1000)} ms`;
}

/** @param {HTMLElement} root @param {string} metrics @returns {boolean} whether there is anything to see */
export function draw(root, metrics) {
  const all = histograms(metrics);
  root.replaceChildren();
  for (const [stage, name] of STAGES) {
    const h = all.get(stage);
    if (!h?.counts.some((c) => c)) continue;
    const most = Math.max(...h.counts);
    const bars = document.createElement("div");
    bars.className = "bars";
    bars.setAttribute("role", "img");
    bars.setAttribute("aria-label", `${name}: half of the turns ${below(h, 0.5)}, 95 % ${below(h, 0.95)}`);
    h.counts.forEach((count, i) => {
      const bar = bars.appendChild(document.createElement("i"));
      bar.style.height = `${(100 * count) / most}%`;
      const bound = h.bounds[i] === Infinity ? "longer" : `up to ${Math.round(h.bounds[i] * 1000)} ms`;
      bar.title = `${bound}: ${count}`;
    });
    const label = document.createElement("span");
    label.textContent = name;
    const figures = document.createElement("small");
    figures.textContent = `half ${below(h, 0.5)}, 95 % ${below(h, 0.95)}`;
    root.append(label, bars, figures);
  }
  return root.childElementCount > 0;
}
