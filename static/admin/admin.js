/** The operator's page: calls that are going on and those that were, one of them in detail, how long callers wait. @module */

import { Refused, blob, events, json, rememberKey, text } from "./server.js";
import { draw } from "./speed.js";
import { clock, timeline } from "./timeline.js";

const EVERY_MS = 3000;
/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {AbortController | null} */
let following = null;
/** @type {string | null} */
let chosen = null;
let pages = 1;
/** Whether the call that is shown is a chat: what was sent counts as heard. */
let written = false;
/** @type {number | undefined} */
let timer;

/** @param {string} [message] */
function problem(message) {
  $("problem").textContent = message ?? "";
  $("problem").hidden = !message;
}

/** @param {unknown} error */
function refused(error) {
  const needsKey = error instanceof Refused && [401, 403].includes(error.status);
  if (needsKey) {
    $("key-form").hidden = false;
    $("desk").hidden = true;
    $("live").textContent = "";
  }
  const typed = Boolean(/** @type {HTMLInputElement} */ ($("key")).value);
  problem(needsKey && !typed ? "" : error instanceof Error ? error.message : String(error));
}

/** @param {string} name @param {string} [content] @param {string} [kind] */
function make(name, content, kind) {
  const node = document.createElement(name);
  if (content !== undefined) node.textContent = content;
  if (kind) node.className = kind;
  return node;
}

async function refresh() {
  clearTimeout(timer);
  try {
    const calls = [];
    /** @type {string | null} */
    let next = null;
    for (let i = 0; i < pages; i++) {
      const page = await json(`/v1/calls?limit=25${next ? `&before=${next}` : ""}`);
      calls.push(...page.calls);
      next = page.next;
      if (!next) break;
    }
    showCalls(calls, next !== null);
    problem();
    $("key-form").hidden = true;
    $("desk").hidden = false;
    // of one tenant's calls there are no figures of their own
    const metrics = await text("/metrics").catch(() => "");
    $("speed-section").hidden = !draw($("speed"), metrics);
  } catch (error) {
    refused(error);
    if (error instanceof Refused && error.status) return;
  }
  timer = setTimeout(refresh, EVERY_MS);
}

/** @param {any[]} calls @param {boolean} more */
function showCalls(calls, more) {
  const active = calls.filter((c) => c.status === "active").length;
  $("live").textContent = active === 1 ? "1 call going on" : `${active || "No"} calls going on`;
  $("live").dataset.state = active ? "listening" : "idle";
  $("more").hidden = !more;
  const focused = document.activeElement?.getAttribute("data-call");
  const rows = calls.map((c) => {
    const row = make("tr", undefined, c.status);
    row.setAttribute("aria-selected", String(c.id === chosen));
    const open = make("button", new Date(c.started_at).toLocaleString());
    open.setAttribute("type", "button");
    open.dataset.call = c.id;
    open.addEventListener("click", () => void choose(c.id));
    row.appendChild(make("td")).append(open);
    const took = c.duration_s ?? (Date.now() - Date.parse(c.started_at)) / 1000;
    row.append(make("td", c.agent), make("td", clock(took)), make("td", c.end_reason ?? "going on"));
    return row;
  });
  if (!rows.length) rows.push(make("tr"));
  $("calls").replaceChildren(...rows);
  if (!calls.length) rows[0].append(make("td", "There were no calls yet."));
  if (focused) /** @type {HTMLElement | null} */ (document.querySelector(`[data-call="${focused}"]`))?.focus();
}

/** @param {string} id */
async function choose(id) {
  following?.abort();
  const mine = (following = new AbortController());
  chosen = id;
  $("call").hidden = false;
  $("call-title").textContent = `Call ${id}`;
  for (const part of ["facts", "timeline", "words"]) $(part).replaceChildren();
  for (const row of $("calls").children) {
    row.setAttribute("aria-selected", String(row.querySelector("button")?.dataset.call === id));
  }
  try {
    await facts(id);
    $("call-title").focus();
    $("call").scrollIntoView({ block: "nearest" });
    /** @type {any[]} */
    const seen = [];
    let waiting = false;
    for await (const event of events(`/v1/calls/${id}/events`, mine.signal)) {
      seen.push(event);
      say(event);
      if (!waiting) {
        // many come at once
        waiting = true;
        setTimeout(() => {
          waiting = false;
          if (chosen === id) $("timeline").replaceChildren(timeline(seen));
        }, 100);
      }
    }
    await facts(id);
  } catch (error) {
    if (!mine.signal.aborted) refused(error);
  }
}

/** @param {string} id */
async function facts(id) {
  const call = await json(`/v1/calls/${id}`);
  const known = [
    ["agent", call.agent], ["ended", call.end_reason ?? "going on"], ["cost", call.cost || ""],
    ["metadata", Object.keys(call.metadata).length ? JSON.stringify(call.metadata) : ""],
    ["documents", [...new Set(call.knowledge.flatMap((/** @type {any} */ k) => k.sources.map((/** @type {any} */ s) => s.file)))].join(", ")],
  ];
  if (call.quality) known.push(["line", line(call.quality)]);
  const parts = known.filter(([, value]) => value !== "").map(([name, value]) => make("span", `${name}: ${value}`));
  if (call.recording && call.status !== "active") {
    const player = document.createElement("audio");
    player.controls = true;
    player.src = URL.createObjectURL(await blob(call.recording));
    parts.push(player);
  }
  if (chosen === id) $("facts").replaceChildren(...parts);
}

/** @param {any} q the figures of a `call.quality` */
function line(q) {
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  const trip = q.round_trip_ms === undefined ? "" : `round trip ${Math.round(q.round_trip_ms)} ms, `;
  return `${trip}lost ${percent(q.lost)} of the caller's packets and ${percent(q.voice_lost)} of the agent's, ${percent(q.concealed)} of the caller's sound missing, jitter ${Math.round(q.jitter_ms)} ms`;
}

/** @param {any} e one event of the call that is shown, as a line where it says something */
function say(e) {
  /** @type {[string, string] | null} */
  let line = null;
  if (e.type === "call.started") written = e.transport === "chat";
  if (e.type === "user.transcript" && e.text) line = ["caller", e.text];
  else if (e.type === "agent.speech_stopped") line = ["agent", e.reason === "interrupted" ? `${e.heard} —` : e.heard];
  else if (e.type === "agent.text" && written) line = ["agent", e.text];
  else if (e.type === "tool.called") line = ["tool", `${e.name} ${e.arguments ? JSON.stringify(e.arguments) : ""}`];
  else if (e.type === "tool.returned") line = ["", e.error ?? (e.result === undefined ? "done" : JSON.stringify(e.result))];
  else if (e.type === "warning" || e.type === "error") line = [e.type, e.message];
  else if (e.type === "connection.changed") line = ["line", e.quality === "bad" ? "has become bad" : "is good again"];
  else if (e.type === "user.dtmf") line = ["key", e.digit];
  else if (e.type === "call.ended") line = ["", `ended: ${e.reason}`];
  if (!line) return;
  const item = make("li");
  item.append(make("time", clock(e.time)), make("b", line[0]), make("span", line[1]));
  $("words").append(item);
}

$("key-form").addEventListener("submit", (e) => {
  e.preventDefault();
  rememberKey(/** @type {HTMLInputElement} */ ($("key")).value.trim());
  void refresh();
});
$("more").addEventListener("click", () => {
  pages += 1;
  void refresh();
});
void refresh();
