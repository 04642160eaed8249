/** One call as a picture: who spoke when, how long the caller waited, what tools did. @module */

import { clock } from "../js/record.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 64;
const RIGHT = 24;
const HEIGHT = 26;
const LANES = ["Caller", "Waiting", "Agent", "Tools"];

/** @typedef {{lane: number, from: number, to: number, kind: string, label: string}} Span */

/**
 * @param {any[]} events of one call, as recorded
 * @returns {{spans: Span[], end: number}}
 */
export function spansOf(events) {
  /** @type {Span[]} */
  const spans = [];
  /** @type {Map<string, Span>} */
  const open = new Map();
  let end = 1;
  /** @param {string} key @param {number} lane @param {number} from @param {string} kind @param {string} label */
  const begin = (key, lane, from, kind, label) => {
    const span = { lane, from, to: Infinity, kind, label };
    open.set(key, span);
    spans.push(span);
  };
  /** @param {string} key @param {number} to */
  const close = (key, to) => {
    const span = open.get(key);
    if (span) span.to = to;
    open.delete(key);
    return span;
  };
  for (const e of events) {
    end = Math.max(end, e.time ?? 0);
    switch (e.type) {
      case "user.speech_started":
        if (!open.has("user")) begin("user", 0, e.time, "user", "the caller speaks");
        break;
      case "user.speech_stopped":
        close("user", e.time);
        break;
      case "agent.speech_started":
        begin(`agent ${e.turn_id}`, 2, e.time, "agent", "the agent speaks");
        break;
      case "agent.speech_stopped": {
        const span = close(`agent ${e.turn_id}`, e.time);
        if (span) span.label = e.reason === "interrupted" ? `${e.heard} — interrupted`.replace(/^ — /, "") : e.heard;
        break;
      }
      case "turn.metrics": {
        const waited = e.response_ms / 1000;
        spans.push({
          lane: 1,
          from: e.time - waited,
          to: e.time,
          kind: "wait",
          label: `${Math.round(e.response_ms)} ms`,
        });
        break;
      }
      case "tool.called":
        begin(e.id, 3, e.time, "tool", e.name);
        break;
      case "tool.returned": {
        const span = close(e.id, e.time);
        if (span && e.error) {
          span.kind = "bad";
          span.label += `: ${e.error}`;
        }
        break;
      }
      case "warning":
      case "error":
        spans.push({ lane: 1, from: e.time, to: e.time, kind: "bad", label: e.message });
    }
  }
  for (const span of spans) if (span.to === Infinity) span.to = end;
  return { spans, end };
}

/**
 * @param {any[]} events
 * @param {number} room in pixels, which a short call fills; a long one is wider
 * @param {(at: number) => void} [seek] is called with the time of what is clicked, in seconds
 * @param {boolean} [cursor] whether a line shows what is played
 * @returns {SVGElement}
 */
export function timeline(events, room, seek = () => {}, cursor = false) {
  const { spans, end } = spansOf(events);
  const scale = Math.max(8, (room - LEFT - RIGHT) / end);
  const width = LEFT + end * scale + RIGHT;
  const height = HEIGHT * LANES.length;
  const root = make("svg", {
    class: "timeline",
    width,
    height: height + 24,
    role: "img",
    "data-scale": scale,
    "data-left": LEFT,
  });
  root.appendChild(make("title", {})).textContent =
    `${spans.filter((s) => s.kind === "user").length} times the caller spoke, ${spans.filter((s) => s.kind === "agent").length} times the agent, in ${Math.round(end)} seconds`;
  LANES.forEach((name, i) => {
    const y = HEIGHT * i + HEIGHT / 2;
    root.append(make("line", { class: "lane", x1: LEFT, x2: width, y1: y, y2: y }));
    root.appendChild(make("text", { x: 0, y: y + 4 })).textContent = name;
  });
  const step = [1, 2, 5, 10, 30, 60, 300, 600].find((s) => s * scale > 50) ?? 3600;
  for (let s = 0; s <= end; s += step) {
    root.append(make("line", { class: "tick", x1: LEFT + s * scale, x2: LEFT + s * scale, y1: 0, y2: height }));
    root.appendChild(make("text", { x: LEFT + s * scale, y: height + 16 })).textContent = clock(s);
  }
  for (const span of spans) {
    const bar = make("rect", {
      class: span.kind,
      x: LEFT + span.from * scale,
      y: HEIGHT * span.lane + 5,
      rx: 3,
      width: Math.max(3, (span.to - span.from) * scale),
      height: HEIGHT - 10,
    });
    bar.appendChild(make("title", {})).textContent = `${clock(span.from)} to ${clock(span.to)}  ${span.label}`;
    bar.addEventListener("click", () => seek(span.from));
    root.append(bar);
  }
  if (cursor) root.append(make("line", { class: "cursor", x1: LEFT, x2: LEFT, y1: 0, y2: height }));
  return root;
}

/** @param {string} name @param {Record<string, string | number>} attributes @returns {SVGElement} */
function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}
