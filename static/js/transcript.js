/** The conversation as bubbles: the caller's words as they are recognised, the agent's as they are spoken. @module */

import { waterfall } from "./latency.js";

export class Transcript {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {Map<string, HTMLElement>} */
    this.bubbles = new Map();
    /** @type {Map<string, {text: string, spoken: number}>} */
    this.replies = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.tools = new Map();
  }

  clear() {
    this.root.replaceChildren();
    this.bubbles.clear();
    this.replies.clear();
    this.tools.clear();
  }

  /** @param {{turn_id: string, text: string, final: boolean, stable?: string}} e */
  user(e) {
    if (e.final && !e.text) {
      this.bubbles.get(`user ${e.turn_id}`)?.remove();
      return;
    }
    const bubble = this.bubble("user", e.turn_id);
    const stable = e.final ? e.text : (e.stable ?? "");
    const rest = document.createElement("i");
    rest.textContent = e.text.slice(stable.length);
    bubble.replaceChildren(stable, rest);
    bubble.classList.toggle("partial", !e.final);
    this.scroll();
  }

  /** @param {{turn_id: string, text: string}} e */
  agentDelta(e) {
    this.reply(e.turn_id).text += e.text;
    this.drawReply(e.turn_id);
  }

  /** @param {{turn_id: string, text: string}} e */
  agentText(e) {
    this.reply(e.turn_id).text = e.text;
    this.drawReply(e.turn_id);
  }

  /** A word goes out now. @param {{turn_id: string, text: string}} e */
  agentWord(e) {
    const reply = this.reply(e.turn_id);
    const at = reply.text.indexOf(e.text, reply.spoken);
    if (at >= 0) reply.spoken = at + e.text.length;
    this.drawReply(e.turn_id);
  }

  /** @param {{turn_id: string, reason: string, heard: string}} e */
  agentStopped(e) {
    const reply = this.reply(e.turn_id);
    if (e.reason === "interrupted") reply.text = e.heard;
    reply.spoken = reply.text.length;
    this.drawReply(e.turn_id);
    this.bubble("agent", e.turn_id).classList.toggle("cut", e.reason === "interrupted");
  }

  /** @param {import("./latency.js").Metrics} metrics */
  latency(metrics) {
    this.root.append(waterfall(metrics));
    this.scroll();
  }

  /** @param {{id: string, name: string, arguments?: object}} e */
  toolCalled(e) {
    const given = Object.entries(e.arguments ?? {}).map(([name, value]) => `${name}: ${value}`);
    this.tools.set(e.id, this.note(`${e.name}${given.length ? ` (${given.join(", ")})` : ""} …`));
  }

  /** @param {{id: string, result?: unknown, error?: string}} e */
  toolReturned(e) {
    const note = this.tools.get(e.id);
    if (!note) return;
    const result = e.error ?? (typeof e.result === "string" ? e.result : JSON.stringify(e.result ?? "done"));
    note.textContent = `${note.textContent?.replace(/ …$/, "")} → ${result.slice(0, 200)}`;
    note.classList.toggle("failed", e.error !== undefined);
  }

  /** @param {string} text */
  note(text) {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = text;
    this.root.append(note);
    this.scroll();
    return note;
  }

  /** @param {string} turn */
  reply(turn) {
    let reply = this.replies.get(turn);
    if (!reply) this.replies.set(turn, (reply = { text: "", spoken: 0 }));
    return reply;
  }

  /** @param {string} turn */
  drawReply(turn) {
    const { text, spoken } = this.reply(turn);
    const rest = document.createElement("span");
    rest.className = "unspoken";
    rest.textContent = text.slice(spoken);
    this.bubble("agent", turn).replaceChildren(text.slice(0, spoken), rest);
    this.scroll();
  }

  /** @param {"user" | "agent"} who @param {string} turn */
  bubble(who, turn) {
    const key = `${who} ${turn}`;
    let bubble = this.bubbles.get(key);
    if (!bubble) {
      bubble = document.createElement("div");
      bubble.className = `bubble ${who}`;
      this.bubbles.set(key, bubble);
      this.root.append(bubble);
    }
    return bubble;
  }

  scroll() {
    this.root.scrollTop = this.root.scrollHeight;
  }
}
