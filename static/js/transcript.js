/** The conversation as bubbles with speakers and times: the caller's words as they are recognised, the agent's as they are spoken. @module */

import { waterfall } from "./latency.js";
import { clock } from "./record.js";

const AT_END_PX = 48;

/** @typedef {import("./record.js").Line} Line */
/** @typedef {import("./record.js").CallRecord} CallRecord */
/** @typedef {{item: HTMLElement, bubble: HTMLElement, line: Line}} Said */

export class Transcript {
  /** @type {CallRecord[]} */
  calls = [];
  agentName = "Agent";
  /** A person has taken over: what is said is theirs. */
  isPerson = false;
  /** @type {Map<string, Said>} */
  #said = new Map();
  /** @type {Map<string, {text: string, spoken: number}>} */
  #replies = new Map();
  /** @type {Map<string, HTMLElement>} */
  #tools = new Map();
  #now = 0;
  /** A call has begun, and the reader is at the end of what is said in it. */
  #follows = false;

  /**
   * @param {HTMLElement} scroller @param {HTMLElement} list
   * @param {{newer: HTMLElement, announce: (text: string) => void}} more a button that leads to the end; what screen readers are told
   */
  constructor(scroller, list, { newer, announce }) {
    this.scroller = scroller;
    this.list = list;
    this.newer = newer;
    this.announce = announce;
    newer.addEventListener("click", () => this.#toEnd());
    let top = 0;
    scroller.addEventListener("scroll", () => {
      // what was added since, and what is measured anew, moves the end away from who has not scrolled
      if (this.#isAtEnd()) this.#follows = this.calls.length > 0;
      else if (scroller.scrollTop < top) this.#follows = false;
      top = scroller.scrollTop;
      if (this.#follows) newer.hidden = true;
    });
    // once in a frame, however many words it brings: to ask for the height at each of them takes the longer, the more
    // was said; a message above the list takes some of its height as well
    const observer = new ResizeObserver(() => this.#follows && this.#toEnd());
    for (const part of [scroller, ...scroller.children]) observer.observe(part);
  }

  /** Another call begins below what was said before. @param {string} agentName */
  begin(agentName) {
    this.agentName = agentName;
    this.isPerson = false;
    this.#said.clear();
    this.#replies.clear();
    this.#tools.clear();
    this.#now = 0;
    const started = new Date();
    const item = this.#append("li", "divider");
    item.textContent = `${agentName} · ${started.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
    this.calls.push({ agent: agentName, call_id: "", started_at: started.toISOString(), lines: [] });
    this.#toEnd();
  }

  clear() {
    this.list.replaceChildren();
    this.calls = [];
    this.#follows = false;
  }

  /** Whether anything was said. */
  get hasWords() {
    return this.calls.some(({ lines }) => lines.length);
  }

  /** The time of an event, since the call began. @param {{time?: number, call_id?: string}} event */
  at(event) {
    this.#now = event.time ?? this.#now;
    const call = this.calls.at(-1);
    if (call && event.call_id) call.call_id = event.call_id;
  }

  /** @param {{turn_id: string, text: string, final: boolean, stable?: string, words?: {start_s: number}[]}} e */
  user(e) {
    if (e.final && !e.text) return this.#drop(`user ${e.turn_id}`);
    const { bubble, line } = this.#of("user", e.turn_id);
    const stable = e.final ? e.text : (e.stable ?? "");
    const rest = document.createElement("i");
    rest.textContent = e.text.slice(stable.length);
    this.#change(() => bubble.replaceChildren(stable, rest));
    bubble.classList.toggle("partial", !e.final);
    line.text = e.text;
    line.until_s = this.#now;
    if (e.words?.length) line.at_s = e.words[0].start_s;
    if (e.final) this.announce(`You: ${e.text}`);
  }

  /** @param {{turn_id: string, text: string}} e */
  agentDelta(e) {
    this.#reply(e.turn_id).text += e.text;
    this.#drawReply(e.turn_id);
  }

  /** @param {{turn_id: string, text: string}} e */
  agentText(e) {
    this.#reply(e.turn_id).text = e.text;
    this.#drawReply(e.turn_id);
    this.announce(`${this.#of("agent", e.turn_id).line.name}: ${e.text}`);
  }

  /** A word goes out now. @param {{turn_id: string, text: string}} e */
  agentWord(e) {
    const reply = this.#reply(e.turn_id);
    const at = reply.text.indexOf(e.text, reply.spoken);
    if (at >= 0) reply.spoken = at + e.text.length;
    this.#drawReply(e.turn_id);
  }

  /** @param {{turn_id: string, reason: string, heard: string}} e */
  agentStopped(e) {
    const reply = this.#reply(e.turn_id);
    const interrupted = e.reason === "interrupted";
    if (interrupted && !e.heard) return this.#drop(`agent ${e.turn_id}`);
    if (interrupted) reply.text = e.heard;
    reply.spoken = reply.text.length;
    this.#drawReply(e.turn_id);
    const { bubble, line } = this.#of("agent", e.turn_id);
    bubble.classList.toggle("cut", interrupted);
    if (interrupted) line.interrupted = true;
    line.until_s = this.#now;
  }

  /** @param {import("./latency.js").Metrics & {turn_id: string}} metrics */
  latency(metrics) {
    this.#change(() => this.list.lastElementChild?.append(waterfall(metrics)));
  }

  /** @param {{id: string, name: string, arguments?: object}} e */
  toolCalled(e) {
    const given = Object.entries(e.arguments ?? {}).map(([name, value]) => `${name}: ${value}`);
    const item = this.#append("li", "note tool");
    const details = item.appendChild(document.createElement("details"));
    details.open = document.body.classList.contains("developer");
    details.appendChild(document.createElement("summary")).textContent = `${inWords(e.name)} …`;
    details.appendChild(document.createElement("code")).textContent =
      `${e.name}${given.length ? ` (${given.join(", ")})` : ""}`;
    item.dataset.name = inWords(e.name);
    this.#tools.set(e.id, item);
  }

  /** @param {{id: string, result?: unknown, error?: string}} e */
  toolReturned(e) {
    const item = this.#tools.get(e.id);
    const [summary, code] = item?.querySelectorAll("summary, code") ?? [];
    if (!item) return;
    const failed = e.error !== undefined;
    const result = e.error ?? (typeof e.result === "string" ? e.result : JSON.stringify(e.result ?? "done"));
    summary.textContent = failed ? `${item.dataset.name}: that did not work` : `${item.dataset.name}: done`;
    code.textContent += ` → ${result.slice(0, 400)}`;
    item.classList.toggle("failed", failed);
    this.#record({ who: "note", name: "", text: `${code.textContent}`, at_s: this.#now, until_s: this.#now });
  }

  /** @param {string} text */
  note(text) {
    this.#append("li", "note").textContent = text;
    this.#record({ who: "note", name: "", text, at_s: this.#now, until_s: this.#now });
    this.announce(text);
  }

  /** @param {string} turn */
  #reply(turn) {
    let reply = this.#replies.get(turn);
    if (!reply) this.#replies.set(turn, (reply = { text: "", spoken: 0 }));
    return reply;
  }

  /** @param {string} turn */
  #drawReply(turn) {
    const { text, spoken } = this.#reply(turn);
    const { bubble, line } = this.#of("agent", turn);
    const rest = document.createElement("span");
    rest.className = "unspoken";
    rest.textContent = text.slice(spoken);
    this.#change(() => bubble.replaceChildren(text.slice(0, spoken), rest));
    line.text = text;
    line.until_s = this.#now;
  }

  /** @param {string} key */
  #drop(key) {
    const said = this.#said.get(key);
    said?.item.remove();
    this.#said.delete(key);
    const lines = this.calls.at(-1)?.lines;
    if (said && lines?.includes(said.line)) lines.splice(lines.indexOf(said.line), 1);
  }

  /** @param {"user" | "agent"} side @param {string} turn @returns {Said} */
  #of(side, turn) {
    const key = `${side} ${turn}`;
    let said = this.#said.get(key);
    if (!said) {
      const who = side === "user" ? "you" : this.isPerson ? "person" : "agent";
      const name = { you: "You", agent: this.agentName, person: "Person" }[who];
      const item = this.#append("li", `said ${side} ${who === "person" ? "person" : ""}`);
      const by = item.appendChild(document.createElement("p"));
      by.className = "by";
      by.appendChild(document.createElement("b")).textContent = name;
      by.appendChild(document.createElement("time")).textContent = clock(this.#now);
      const bubble = item.appendChild(document.createElement("div"));
      bubble.className = `bubble ${side}`;
      said = { item, bubble, line: this.#record({ who, name, text: "", at_s: this.#now, until_s: this.#now }) };
      this.#said.set(key, said);
    }
    return said;
  }

  /** @param {Line} line */
  #record(line) {
    this.calls.at(-1)?.lines.push(line);
    return line;
  }

  /** @param {string} tag @param {string} className */
  #append(tag, className) {
    const item = document.createElement(tag);
    item.className = className.trim();
    this.#change(() => this.list.append(item));
    return item;
  }

  /** Change what is shown; the end stays in view for who is there, and for nobody else. @param {() => void} change */
  #change(change) {
    change();
    if (!this.#follows) this.newer.hidden = false;
  }

  #isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < AT_END_PX;
  }

  #toEnd() {
    this.#follows = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.newer.hidden = true;
  }
}

/** `get_order_status` as people write it. @param {string} name */
function inWords(name) {
  const words = name.replace(/[_-]+/g, " ").trim() || name;
  return words[0].toUpperCase() + words.slice(1);
}
