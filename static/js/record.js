/** What was said in the page's calls, for people and programs to keep: as text, JSON and WebVTT. Pure. @module */

/**
 * @typedef {object} Line
 * @property {"you" | "agent" | "person" | "note"} who
 * @property {string} name as it is shown
 * @property {string} text
 * @property {number} at_s since the call began
 * @property {number} until_s
 * @property {boolean} [interrupted]
 */
/** @typedef {{agent: string, call_id: string, started_at: string, lines: Line[]}} CallRecord */

const SHORTEST_S = 1;

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = `${Math.floor(whole / 60) % 60}`;
  const rest = `${whole % 60}`.padStart(2, "0");
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${minutes.padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** @param {CallRecord[]} calls */
export function asText(calls) {
  return calls
    .map(({ agent, started_at, lines }) => [`${agent}, ${started_at}`, "", ...lines.map(inText), ""].join("\n"))
    .join("\n");
}

/** @param {Line} line */
function inText({ who, name, text, at_s, interrupted }) {
  return who === "note" ? `[${clock(at_s)}] (${text})` : `[${clock(at_s)}] ${name}: ${text}${interrupted ? " —" : ""}`;
}

/** @param {CallRecord[]} calls */
export const asJson = (calls) => `${JSON.stringify({ calls }, null, 2)}\n`;

/** Subtitles of the last call, whose recording they fit. @param {CallRecord[]} calls */
export function asWebVtt(calls) {
  const spoken = (calls.at(-1)?.lines ?? []).filter((line) => line.who !== "note" && line.text);
  const cues = spoken.map(({ name, text, at_s, until_s }) => {
    const end = Math.max(until_s, at_s + SHORTEST_S);
    return `${stamp(at_s)} --> ${stamp(end)}\n<v ${plain(name)}>${plain(text)}`;
  });
  return `${["WEBVTT", ...cues].join("\n\n")}\n`;
}

/** @param {number} seconds */
function stamp(seconds) {
  const ms = Math.round(seconds * 1000);
  const part = (/** @type {number} */ value, /** @type {number} */ digits) =>
    `${Math.floor(value)}`.padStart(digits, "0");
  return `${part(ms / 3600000, 2)}:${part((ms / 60000) % 60, 2)}:${part((ms / 1000) % 60, 2)}.${part(ms % 1000, 3)}`;
}

/** A cue's text: no markup, no arrow, no empty line. @param {string} text */
const plain = (text) =>
  text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/\s*\n\s*/g, " ");
