/** Where the time of a turn went: one row for each part, from the caller's last sound to the agent's first. @module */

/** @typedef {{response_ms: number, marks: Record<string, number | null>}} Metrics */

/** @type {[string, string, string, string][]} label, the marks between which it happened, colour */
const PARTS = [
  ["pause", "", "turn_ended", "--pause"],
  ["recognition", "paused", "transcript", "--stt"],
  ["model", "transcript", "first_clause", "--llm"],
  ["voice", "first_clause", "first_audio", "--tts"],
];

/** @param {Metrics} metrics @returns {HTMLElement} */
export function waterfall({ response_ms, marks }) {
  const root = document.createElement("div");
  root.className = "latency";
  root.appendChild(document.createElement("b")).textContent = `${Math.round(response_ms)} ms`;
  // what was typed has no pause at its end
  root.append(` from your ${marks.turn_ended == null ? "message" : "last sound"} to the answer's first sound`);
  for (const [label, from, to, colour] of PARTS) {
    const start = marks[from] ?? 0;
    const end = marks[to];
    if (end == null || end <= start) continue;
    const row = root.appendChild(document.createElement("div"));
    row.className = "row";
    row.appendChild(document.createElement("span")).textContent = label;
    const track = row.appendChild(document.createElement("div"));
    track.className = "track";
    const bar = track.appendChild(document.createElement("i"));
    bar.style.left = `${(100 * start) / response_ms}%`;
    bar.style.width = `${(100 * (end - start)) / response_ms}%`;
    bar.style.background = `var(${colour})`;
    row.appendChild(document.createElement("em")).textContent = `${Math.round(end - start)} ms`;
  }
  return root;
}
