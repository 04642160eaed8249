/** The demo page: binds the session to what is seen. @module */

import { VoiceSession } from "../voice-session.js";
import { Transcript } from "./transcript.js";

const STATES = {
  connecting: "Connecting …",
  reconnecting: "Connecting again …",
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
let shown = "";

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
  for (const id of ["mute", "hangup", "text-form", "meters", "devices"]) $(id).hidden = !inCall;
  const connect = /** @type {HTMLButtonElement} */ ($("connect"));
  connect.hidden = inCall;
  connect.disabled = false;
}

async function call() {
  problem();
  transcript.clear();
  /** @type {HTMLButtonElement} */ ($("connect")).disabled = true;
  show("connecting");
  const mine = (session = new VoiceSession({ agent, audio: /** @type {HTMLAudioElement} */ ($("voice")) }));
  listen(mine);
  try {
    await mine.connect();
    controls(true);
    draw(mine);
    void choices(mine);
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
  on("transport", ({ kind }) => {
    // a small hint is enough: it works
    if (kind === "websocket") transcript.note("Connected without WebRTC.");
  });
  on("change", ({ isMuted, playbackBlocked }) => {
    $("mute").setAttribute("aria-pressed", String(isMuted));
    $("mute").textContent = isMuted ? "Muted" : "Mute";
    if (playbackBlocked) problem("The browser does not play sound yet; click the page.");
    else if ($("problem").textContent?.startsWith("The browser does not play")) problem();
  });
  on("state.changed", (e) => show((shown = e.state)));
  on("reconnecting", () => show("reconnecting"));
  on("reconnected", () => {
    show(shown);
    transcript.note("The connection was lost, and is there again.");
  });
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

/** @param {VoiceSession} s */
function draw(s) {
  for (const who of /** @type {const} */ (["user", "agent"])) {
    const bar = /** @type {HTMLElement} */ ($(`meter-${who}`).firstElementChild);
    bar.style.transform = `scaleX(${session === s ? s.level(who).toFixed(3) : 0})`;
  }
  if (session === s) requestAnimationFrame(() => draw(s));
}

/** Which microphone and which speaker; hidden where there is nothing to choose. @param {VoiceSession} s */
async function choices(s) {
  offer("microphone", await s.microphones(), (id) => s.setMicrophone(id));
  offer("speaker", await s.speakers(), (id) => s.setSpeaker(id));
}

/** @param {string} id @param {MediaDeviceInfo[]} devices @param {(deviceId: string) => Promise<void>} choose */
function offer(id, devices, choose) {
  const select = /** @type {HTMLSelectElement} */ ($(id));
  select.replaceChildren(...devices.map((d) => new Option(d.label || "default", d.deviceId)));
  /** @type {HTMLElement} */ (select.parentElement).hidden = devices.length < 2;
  select.onchange = () => choose(select.value).catch((error) => problem(error.message));
}

function over() {
  session = null;
  controls(false);
  show("ended");
}

$("connect").addEventListener("click", call);
$("hangup").addEventListener("click", () => session?.disconnect());
$("mute").addEventListener("click", () => session?.toggleMute());
$("text-form").addEventListener("submit", (e) => {
  e.preventDefault();
  const input = /** @type {HTMLInputElement} */ ($("text"));
  const text = input.value.trim();
  if (text) session?.sendText(text);
  input.value = "";
});
