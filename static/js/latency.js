/** Where the time of a turn went, as a small stacked bar. @module */

/** @type {[string, string[], string][]} label, fields of turn.metrics, colour */
const PARTS = [
  ["pause", ["endpoint_ms"], "--pause"],
  ["recognition", ["stt_ms"], "--stt"],
  ["model", ["llm_first_token_ms", "llm_first_clause_ms"], "--llm"],
  ["voice", ["tts_first_audio_ms"], "--tts"],
  ["playing", ["playout_ms"], "--play"],
];

/** @param {Record<string, number>} metrics @returns {HTMLElement} */
export function latencyBar(metrics) {
  const root = document.createElement("div");
  root.className = "latency";
  const bar = root.appendChild(document.createElement("div"));
  bar.className = "bar";
  const key = root.appendChild(document.createElement("div"));
  key.className = "key";
  const total = key.appendChild(document.createElement("b"));
  total.textContent = `${Math.round(metrics.response_ms)} ms`;
  for (const [label, fields, colour] of PARTS) {
    const ms = fields.reduce((sum, f) => sum + (metrics[f] ?? 0), 0);
    const part = bar.appendChild(document.createElement("i"));
    part.style.flexGrow = String(ms);
    part.style.background = `var(${colour})`;
    part.title = `${label}: ${ms.toFixed(0)} ms`;
    const entry = key.appendChild(document.createElement("span"));
    entry.style.setProperty("--c", `var(${colour})`);
    entry.textContent = `${label} ${ms.toFixed(0)}`;
  }
  return root;
}
