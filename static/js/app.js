/** The demo page: binds the session to what is seen. @module */

import { Meter } from "./meter.js";
import { VoiceSession } from "../voice-session.js";
import { Transcript } from "./transcript.js";

const STATES = {
  connecting: "Connecting …",
  listening: "Listening",
  user_speaking: "Hearing you",
  thinking: "Thinking",
  agent_speaking: "Speaking",
  ended: "Call ended",
};

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));
const agent = new URLSearchParams(location.search).get("agent") ?? "assistant";
const transcript = new Transcript($("transcript"));
/** @type {VoiceSession | null} */
let session = null;
/** @type {AudioContext | null} */
let audio = null;
/** @type {Meter[]} */
let meters = [];

$("agent").textContent = agent;

/** @param {string} state */
function show(state) {
  const line = $("state");
  line.dataset.state = state;
  line.textContent = STATES[/** @type {keyof typeof STATES} */ (state)] ?? state;
}

/** @param {string} [message] */
function problem(message) {
  $("problem").textContent = message ?? "";
  $("problem").hidden = !message;
}

/** @param {boolean} inCall */
function controls(inCall) {
  for (const id of ["mute", "hangup", "text-form", "meters"]) $(id).hidden = !inCall;
  const connect = /** @type {HTMLButtonElement} */ ($("connect"));
  connect.hidden = inCall;
  connect.disabled = false;
  $("mute").setAttribute("aria-pressed", "false");
  $("mute").textContent = "Mute";
}

async function call() {
  problem();
  transcript.clear();
  /** @type {HTMLButtonElement} */ ($("connect")).disabled = true;
  show("connecting");
  audio ??= new AudioContext();
  void audio.resume();
  const mine = (session = new VoiceSession({ agent }));
  listen(mine);
  try {
    await mine.connect();
    controls(true);
    $("text").focus();
  } catch (error) {
    problem(error instanceof Error ? error.message : String(error));
    over();
  }
}

/** @param {VoiceSession} s */
function listen(s) {
  /** @param {string} type @param {(detail: any) => void} react */
  const on = (type, react) => s.addEventListener(type, (e) => react(/** @type {CustomEvent} */ (e).detail));
  on("streams", ({ microphone, voice }) => {
    /** @type {HTMLAudioElement} */ ($("voice")).srcObject = voice;
    if (audio) meters = [new Meter($("meter-user"), microphone, audio), new Meter($("meter-agent"), voice, audio)];
  });
  on("transport", ({ kind }) => {
    // a small hint is enough: it works
    if (kind === "websocket") transcript.note("Connected without WebRTC.");
  });
  on("state.changed", (e) => show(e.state));
  on("user.transcript", (e) => transcript.user(e));
  on("agent.text_delta", (e) => transcript.agentDelta(e));
  on("agent.text", (e) => transcript.agentText(e));
  on("agent.word", (e) => transcript.agentWord(e));
  on("agent.speech_stopped", (e) => transcript.agentStopped(e));
  on("tool.called", (e) => transcript.toolCalled(e));
  on("tool.returned", (e) => transcript.toolReturned(e));
  on("turn.metrics", (e) => transcript.latency(e));
  on("warning", (e) => transcript.note(e.message));
  on("error", (e) => transcript.note(e.message));
  on("ended", (e) => {
    problem(e.message);
    over();
  });
}

function over() {
  for (const meter of meters) meter.stop();
  meters = [];
  session = null;
  controls(false);
  show("ended");
}

$("connect").addEventListener("click", call);
$("hangup").addEventListener("click", () => session?.hangUp());
$("mute").addEventListener("click", () => {
  const muted = $("mute").getAttribute("aria-pressed") !== "true";
  session?.mute(muted);
  $("mute").setAttribute("aria-pressed", String(muted));
  $("mute").textContent = muted ? "Muted" : "Mute";
});
$("text-form").addEventListener("submit", (e) => {
  e.preventDefault();
  const input = /** @type {HTMLInputElement} */ ($("text"));
  const text = input.value.trim();
  if (text) session?.send({ type: "text.send", text });
  input.value = "";
});
// a closed tab hangs up at once instead of being missed
addEventListener("pagehide", () => session?.hangUp());
