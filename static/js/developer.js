/** The developer view: figures of the call, and its events as they come. @module */

import { clock } from "./record.js";

const MOST_EVENTS = 400;
const FREQUENT = ["agent.word", "agent.text_delta", "audio.level", "agent.segment_started", "agent.segment_stopped"];
const MEASURE_MS = 1000;

export class Developer {
  #responses = /** @type {number[]} */ ([]);
  /** @type {Map<string, HTMLElement>} */
  #figures = new Map();
  #measuring = 0;

  /** @param {HTMLElement} figures @param {HTMLElement} list @param {HTMLInputElement} all whether frequent events are shown too */
  constructor(figures, list, all) {
    this.list = list;
    this.all = all;
    for (const name of ["Median reply", "Turns", "Connection", "Round trip", "Jitter", "Packets lost"]) {
      const group = figures.appendChild(document.createElement("div"));
      group.appendChild(document.createElement("dt")).textContent = name;
      const value = group.appendChild(document.createElement("dd"));
      value.textContent = "–";
      this.#figures.set(name, value);
    }
    all.addEventListener("change", () => list.classList.toggle("all", all.checked));
  }

  /** @param {string} name @param {string} value */
  #show(name, value) {
    const figure = this.#figures.get(name);
    if (figure) figure.textContent = value;
  }

  /** @param {import("../voice-session.js").VoiceSession} session */
  begin(session) {
    this.list.replaceChildren();
    this.#responses = [];
    for (const name of this.#figures.keys()) this.#show(name, "–");
    clearInterval(this.#measuring);
    this.#measuring = setInterval(() => void this.#measure(session), MEASURE_MS);
  }

  end() {
    clearInterval(this.#measuring);
  }

  /** @param {any} event */
  event(event) {
    if (event.type === "turn.metrics") this.#answered(event.response_ms);
    if (FREQUENT.includes(event.type) && !this.all.checked) return;
    const { type, time = 0, call_id, seq, ...fields } = event;
    const isShown = document.body.classList.contains("developer"); // to measure what is hidden takes its time as well
    const atEnd = isShown && this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 30;
    const item = document.createElement("li");
    const details = item.appendChild(document.createElement("details"));
    const summary = details.appendChild(document.createElement("summary"));
    summary.appendChild(document.createElement("time")).textContent =
      `${clock(time)}.${`${Math.floor((time % 1) * 10)}`}`;
    summary.append(type);
    summary.appendChild(document.createElement("span")).textContent = short(fields);
    details.appendChild(document.createElement("pre")).textContent = JSON.stringify(event, null, 2);
    this.list.append(item);
    if (this.list.childElementCount > MOST_EVENTS) this.list.firstElementChild?.remove();
    if (atEnd) this.toEnd();
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {number} ms */
  #answered(ms) {
    this.#responses.push(ms);
    const sorted = [...this.#responses].sort((a, b) => a - b);
    this.#show("Median reply", `${Math.round(sorted[Math.floor(sorted.length / 2)])} ms`);
    this.#show("Turns", `${sorted.length}`);
  }

  /** @param {import("../voice-session.js").VoiceSession} session */
  async #measure(session) {
    const { line } = session;
    if (!line) return;
    if (!("pc" in line)) return this.#show("Connection", "WebSocket");
    /** @type {any} */
    let pair, inbound, local;
    const stats = /** @type {Map<string, any>} */ (/** @type {unknown} */ (await line.pc.getStats()));
    for (const each of stats.values()) {
      if (each.type === "candidate-pair" && each.nominated && each.state === "succeeded") pair = each;
      if (each.type === "inbound-rtp" && each.kind === "audio") inbound = each;
    }
    if (pair) local = stats.get(pair.localCandidateId);
    this.#show("Connection", `WebRTC${local ? `, ${local.protocol.toUpperCase()}` : ""}`);
    if (pair?.currentRoundTripTime !== undefined)
      this.#show("Round trip", `${Math.round(pair.currentRoundTripTime * 1000)} ms`);
    if (inbound) {
      this.#show("Jitter", `${Math.round((inbound.jitter ?? 0) * 1000)} ms`);
      const lost = inbound.packetsLost ?? 0;
      this.#show("Packets lost", `${((100 * lost) / Math.max(1, lost + (inbound.packetsReceived ?? 0))).toFixed(1)} %`);
    }
  }
}

/** @param {Record<string, unknown>} fields */
function short(fields) {
  const { text, state, name, message, reason } = /** @type {Record<string, string>} */ (fields);
  return `${text ?? state ?? name ?? message ?? reason ?? ""}`.slice(0, 80);
}
