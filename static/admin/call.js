/** One call: what can be done with it, its course as a picture and in words, its recording. @module */

import { Listening } from "../js/listening.js";
import { asText, asWebVtt, clock } from "../js/record.js";
import { button, download, h, sure } from "./dom.js";
import { blob, events, json, send, socketAddress } from "./server.js";
import { timeline } from "./timeline.js";
import { ending, reasonInWords, wait, when } from "./words.js";

const OVER_SCOPES = {
  connecting: "Connecting…",
  listening: "You are listening. Nobody in the call hears you.",
  speaking: "You have taken the call over: the caller hears you.",
  over: "The call is over.",
  refused: "",
};

/** @param {HTMLElement} root @param {string} id @param {AbortSignal} signal @param {() => string} back where the list is */
export async function callView(root, id, signal, back) {
  const path = `/v1/calls/${encodeURIComponent(id)}`;
  const title = h("h2", { id: "call-title", tabindex: "-1" }, id);
  const actions = h("div", { class: "row actions" });
  const seat = h("div", { class: "seat", hidden: true });
  const facts = h("dl", { id: "facts", class: "facts" });
  const sound = h("div", { class: "sound" });
  const picture = h("div", { id: "timeline" });
  const words = h("ol", { id: "words", class: "words" });
  root.replaceChildren(
    h(
      "section",
      { class: "card", "aria-labelledby": "call-title" },
      h(
        "div",
        { class: "row spread" },
        title,
        button("×", () => (location.hash = back()), { class: "close", "aria-label": "Close this call" }),
      ),
      actions,
      seat,
      facts,
      sound,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline" }, picture),
      words,
    ),
  );
  /** @type {any} */
  let call = null;
  /** @type {any[]} */
  const seen = [];
  /** @type {HTMLAudioElement | null} */
  let player = null;
  /** @type {Listening | null} */
  let listening = null;
  signal.addEventListener("abort", () => listening?.close());

  const seek = (/** @type {number} */ at) => {
    if (!player) return;
    player.currentTime = at;
    void player.play();
  };

  async function know() {
    call = await json(path);
    if (signal.aborted) return;
    facts.replaceChildren(...factsOf(call));
    act();
    if (call.recording && call.status !== "active" && !player) {
      player = h("audio", { controls: true, "aria-label": "Recording of the call" });
      player.src = URL.createObjectURL(await blob(call.recording));
      player.addEventListener("timeupdate", () => cursor(/** @type {HTMLAudioElement} */ (player).currentTime));
      sound.replaceChildren(player);
      paint();
    }
  }

  function act() {
    const live = call.status === "active";
    const spoken = seen.find((e) => e.type === "call.started")?.transport !== "chat";
    const hadFocus = actions.contains(document.activeElement);
    actions.replaceChildren(
      ...(live
        ? [
            spoken && !listening && button("Listen in", listen, { class: "main" }),
            button(
              "Hang up",
              async () => (await sure("Hang up on this caller?", "Hang up")) && send("POST", `${path}/end`),
              { class: "danger" },
            ),
          ].filter((each) => each !== false)
        : []),
      button("Transcript", () => download(`${id}.txt`, asText([kept(call)])), { title: "Save the transcript as text" }),
      button("WebVTT", () => download(`${id}.vtt`, asWebVtt([kept(call)]), "text/vtt"), {
        title: "Save the transcript as subtitles",
      }),
      button(
        "JSON",
        async () => download(`${id}.json`, JSON.stringify(await json(path), null, 2), "application/json"),
        { title: "Save the whole record" },
      ),
      ...(call.recording && !live
        ? [button("Recording", async () => download(`${id}.ogg`, await blob(call.recording)))]
        : []),
      ...(live ? [] : [button("Delete", forget, { class: "danger" })]),
    );
    if (hadFocus) title.focus({ preventScroll: true });
  }

  async function forget() {
    if (!(await sure("Delete this call, with all that was said in it and its recording?", "Delete"))) return;
    await send("DELETE", path);
    location.hash = back();
  }

  async function listen() {
    const { token } = await send("POST", "/stream/token", { agent_id: call.agent, call_id: id, scope: "supervise" });
    listening = new Listening(
      socketAddress(`/live/${encodeURIComponent(id)}/ws?token=${encodeURIComponent(token)}`),
      sit,
    );
    act();
    sit(listening.now);
  }

  /** @param {import("../js/listening.js").ListeningState} now */
  function sit({ state, scope, problem }) {
    if (state === "over" || state === "refused") listening = null;
    seat.hidden = false;
    const stays = seat.querySelector("input");
    if (stays && document.activeElement === stays && state !== "over" && state !== "refused") {
      /** @type {HTMLElement} */ (seat.querySelector("p")).textContent = problem || OVER_SCOPES[state];
      return;
    }
    const hadFocus = seat.contains(document.activeElement) || document.activeElement === title;
    const line = h(
      "form",
      { class: "row" },
      h("input", {
        "aria-label": "Say in the agent's voice",
        placeholder: "Have the agent say…",
        autocomplete: "off",
        maxlength: "4000",
      }),
      h("button", {}, "Say"),
    );
    line.addEventListener("submit", (e) => {
      e.preventDefault();
      const field = /** @type {HTMLInputElement} */ (line.querySelector("input"));
      if (field.value.trim()) listening?.say(field.value.trim());
      field.value = "";
    });
    seat.replaceChildren(
      h("p", { role: "status" }, problem || OVER_SCOPES[state]),
      ...(scope
        ? [
            state === "speaking"
              ? button("Hand back to the agent", () => listening?.giveBack(), { class: "main" })
              : button("Take over", () => listening?.takeOver(), { class: "main" }),
            button("Stop listening", () => {
              listening?.close();
              listening = null;
              seat.hidden = true;
              act();
              actions.querySelector("button")?.focus();
            }),
            line,
          ]
        : []),
    );
    if (hadFocus) (seat.querySelector("button") ?? title).focus({ preventScroll: true });
    if (!listening) act();
  }

  function paint() {
    picture.replaceChildren(timeline(seen, picture.clientWidth, seek, Boolean(player)));
  }

  /** @param {number} at seconds of the recording */
  function cursor(at) {
    const line = picture.querySelector("line.cursor");
    const scale = Number(picture.querySelector("svg")?.dataset.scale);
    const left = Number(picture.querySelector("svg")?.dataset.left);
    for (const side of ["x1", "x2"]) line?.setAttribute(side, String(left + at * scale));
    for (const item of words.children) {
      const { from, to } = /** @type {HTMLElement} */ (item).dataset;
      item.classList.toggle("now", Number(from) <= at && at < Number(to || Infinity));
    }
  }

  await know();
  title.focus({ preventScroll: true });
  root.scrollIntoView({ block: "nearest" });
  let waiting = false;
  for await (const event of events(`${path}/events`, signal)) {
    seen.push(event);
    say(words, event, seen, seek);
    if (event.type === "call.started") act();
    if (waiting) continue;
    waiting = true; // many come at once
    setTimeout(() => {
      waiting = false;
      if (!signal.aborted) paint();
    }, 100);
  }
  await know();
}

/** @param {any} call @returns {HTMLElement[]} */
function factsOf(call) {
  const files = call.knowledge.flatMap((/** @type {any} */ k) => k.sources.map((/** @type {any} */ s) => s.file));
  /** @type {[string, string][]} */
  const known = [
    ["Agent", call.agent],
    ["Status", ending(call)],
    ["Started", when(call.started_at)],
    ["Duration", call.duration_s === null ? "" : clock(call.duration_s)],
    ["Contact", call.contact ?? ""],
    ["Median wait", wait(call.response_ms)],
    ["Cost", call.cost ? String(call.cost) : ""],
    ["Metadata", Object.keys(call.metadata).length ? JSON.stringify(call.metadata) : ""],
    ["Documents used", [...new Set(files)].join(", ")],
    ["Connection", call.quality ? quality(call.quality) : ""],
  ];
  return known.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
}

/** @param {any} q the figures of a `call.quality` @returns {string} */
function quality(q) {
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  const trip = q.round_trip_ms === undefined ? "" : `round trip ${Math.round(q.round_trip_ms)} ms, `;
  return `${trip}lost ${percent(q.lost)} of the caller's packets and ${percent(q.voice_lost)} of the agent's, ${percent(q.concealed)} of the caller's sound missing, jitter ${Math.round(q.jitter_ms)} ms`;
}

/**
 * One event of the call as a line, where it says something.
 * @param {HTMLElement} words @param {any} e @param {any[]} seen @param {(at: number) => void} seek
 */
function say(words, e, seen, seek) {
  const written = seen[0]?.transport === "chat";
  /** @type {[string, string] | null} */
  let line = null;
  let at = e.time || (seen.at(-2)?.time ?? 0); // who writes that a server crashed does not know when
  if (e.type === "user.transcript" && e.text) {
    at = e.words?.[0]?.start_s ?? at;
    line = ["Caller", e.text];
  } else if (e.type === "agent.speech_stopped") {
    const began = seen
      .filter((/** @type {any} */ s) => s.type === "agent.speech_started" && s.turn_id === e.turn_id)
      .pop();
    at = began?.time ?? at;
    const cut = e.heard ? `${e.heard} — interrupted` : "(interrupted before a word was heard)";
    line = ["Agent", e.reason === "interrupted" ? cut : e.heard];
  } else if (e.type === "agent.text" && written) line = ["Agent", e.text];
  else if (e.type === "tool.called") line = ["Tool", `${e.name} ${e.arguments ? JSON.stringify(e.arguments) : ""}`];
  else if (e.type === "tool.returned")
    line = ["Result", e.error ?? (e.result === undefined ? "done" : JSON.stringify(e.result))];
  else if (e.type === "warning" || e.type === "error") line = [e.type === "error" ? "Error" : "Warning", e.message];
  else if (e.type === "connection.changed") line = ["Line", e.quality === "bad" ? "has become bad" : "is good again"];
  else if (e.type === "user.dtmf") line = ["Key", e.digit];
  else if (e.type === "call.ended") line = ["", reasonInWords(e.reason)];
  if (!line) return;
  const item = h(
    "li",
    { class: line[0].toLowerCase(), data: { from: String(at), to: String(e.time ?? at) } },
    h("button", { type: "button", class: "time", title: "Play from here", onclick: () => seek(at) }, clock(at)),
    h("b", {}, line[0]),
    h("span", {}, line[1]),
  );
  words.append(item);
}

const WHO = /** @type {const} */ ({ user: ["you", "Caller"], assistant: ["agent", "Agent"] });

/** The call as pages keep theirs. @param {any} call @returns {import("../js/record.js").CallRecord} */
function kept(call) {
  const lines = call.transcript.map((/** @type {any} */ said, /** @type {number} */ i) => {
    const [who, name] = WHO[/** @type {"user"} */ (said.role)];
    const until_s = call.transcript[i + 1]?.at_s ?? call.duration_s ?? said.at_s;
    return { who, name, text: said.text, at_s: said.at_s, until_s, interrupted: said.interrupted };
  });
  return { agent: call.agent, call_id: call.id, started_at: call.started_at, lines };
}
