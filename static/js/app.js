/** The server's own page, a playground: binds a call to what is seen and done in it. @module */

import { CallError } from "../call-error.js";
import { VoiceSession } from "../voice-session.js";
import { Agents, placed } from "./agents.js";
import { Developer } from "./developer.js";
import { HOME_TOOLS, Home } from "./home.js";
import { Orb } from "./orb.js";
import { $, remember, remembered } from "./page.js";
import { asJson, asText, asWebVtt, clock } from "./record.js";
import * as server from "./server.js";
import { Settings } from "./settings.js";
import { Transcript } from "./transcript.js";

const STATES = {
  idle: "Ready",
  connecting: "Connecting …",
  reconnecting: "Reconnecting …",
  listening: "Listening",
  user_speaking: "Hearing you",
  thinking: "Thinking",
  agent_speaking: "Speaking",
  muted: "Muted: the agent cannot hear you",
  held: "Hold to talk",
  unheard: "The agent cannot hear you",
  person: "A person is on the line",
  ended: "Call ended",
  failed: "Not connected",
};
/** Refusals after which the page asks for a key. */
const KEY_LACKS = ["key_missing", "key_revoked", "token_expired", "token_used", "origin_not_allowed"];
const BLOCKED = "The browser does not play sound yet. Click anywhere on the page.";
const UNHEARD = "The microphone is gone. Plug it in again, choose another one in the settings, or type.";
const INSECURE = ["insecure_page", "microphone_refused", "no_microphone", "microphone_busy"];

const query = new URLSearchParams(location.search);
/** @type {VoiceSession | null} */
let session = null;
/** What the server last said of the call. */
let heard = "listening";
let token = query.get("token") ?? "";
const cameByLink = Boolean(token);
/** @type {string | null} said once the call is there */
let first = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let counting;
/** @type {server.Playground} */
let offered = {
  agents: [],
  notice: "",
  voices: [],
  key_needed: false,
  signed_in: null,
  may_edit: false,
  ice_servers: [],
  documents: false,
};

const orb = new Orb($("orb"));
const home = new Home($("rooms"));
const developer = new Developer($("figures"), $("events"), $("all-events"));
const transcript = new Transcript($("transcript"), $("said"), {
  newer: $("newer"),
  announce: (text) => ($("spoken").textContent = text),
});
const agents = new Agents({
  onChoose: chosen,
  onPick: ({ name }) => {
    address("agent", name);
    void load();
  },
  onExample: (text) => void say(text),
});
const settings = new Settings({
  onPushToTalk: () => pushToTalk(true),
  onTheme: () => {},
  onSignedOut: () => void load(),
});

// -- what is seen

/** @param {keyof typeof STATES} state */
function show(state) {
  const line = $("state");
  line.dataset.state = state;
  line.textContent = STATES[state] ?? state;
  orb.look = /** @type {import("./orb.js").Look} */ (
    state in { ended: 1, failed: 1 } ? "idle" : state in { held: 1, unheard: 1 } ? "muted" : state
  );
  $("silent").toggleAttribute("hidden", state !== "muted" && state !== "unheard");
  document.title = session ? `● ${STATES[state]} · ${agents.chosen.title}` : `${agents.chosen.title} · media-server`;
}

/** What the call is in, by all that is known of it. */
function showCall() {
  const state = session?.getState();
  if (!state || state.status === "connecting") return;
  const isQuiet = heard === "listening" || heard === "user_speaking";
  if (state.status === "reconnecting") show("reconnecting");
  else if (state.personInCall) show("person");
  else if (state.microphoneLost && isQuiet) show("unheard");
  else if (state.isMuted && isQuiet) show(isPushing() ? "held" : "muted");
  else show(/** @type {keyof typeof STATES} */ (heard));
}

/** @param {string} [message] @param {boolean} [isNeutral] */
function problem(message, isNeutral = false) {
  $("problem").textContent = message ?? "";
  $("problem").hidden = !message;
  $("problem").classList.toggle("neutral", isNeutral);
}

/** @param {boolean} inCall */
function controls(inCall) {
  const focus = document.activeElement;
  document.body.classList.toggle("in-call", inCall);
  for (const id of ["hangup", "text-form", "clock"]) $(id).hidden = !inCall;
  $("connect").hidden = inCall;
  /** @type {HTMLButtonElement} */ ($("connect")).disabled = false;
  /** @type {HTMLButtonElement} */ ($("choose")).disabled = inCall;
  $("recorded").hidden = !inCall || !agents.chosen.recording;
  $("save").hidden = !transcript.hasWords;
  if (inCall) $("type-instead").hidden = true;
  $("hangup").textContent = "Hang up";
  pushToTalk();
  // a button that went away leaves the keyboard at its place, not at the page's beginning
  if (focus instanceof HTMLElement && focus.closest(".controls") && !focus.checkVisibility()) {
    /** @type {HTMLElement | null} */ (document.querySelector(".controls > :not([hidden])"))?.focus();
  }
}

/** @param {server.Card} card */
function chosen(card) {
  const hasHome = card.client_tools.some((name) => HOME_TOOLS.includes(name));
  $("home").hidden = !hasHome;
  $("extra").hidden = !hasHome && $("developer-panel").hidden;
  settings.offer(card, offered);
  const claims = card.tools.length
    ? ""
    : " This agent has no tools: when it says that it has done something, it only says so.";
  $("notice").textContent = `${offered.notice}.${claims}`.replace("..", ".");
  $("notice").hidden = !offered.notice;
  if (!session) show("idle");
}

/** @param {boolean} on */
function developerView(on) {
  remember("developer view", on ? "on" : "");
  $("developer").setAttribute("aria-pressed", String(on));
  document.body.classList.toggle("developer", on);
  $("developer-panel").hidden = !on;
  $("extra").hidden = !on && $("home").hidden;
  developer.toEnd();
}

// -- before a call

async function load() {
  try {
    offered = await server.playground();
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error));
  }
  const { agents: cards, key_needed } = offered;
  const name =
    query.get("agent") ??
    (cards.some((card) => card.name === "assistant") ? "assistant" : (cards[0]?.name ?? "assistant"));
  agents.offer(cards, name);
  const isClosed = key_needed && !token && !agents.knows(name);
  const isMissing = !key_needed && cards.length > 0 && !agents.knows(name);
  $("key-form").hidden = !isClosed;
  $("welcome").hidden = isClosed || isMissing;
  /** @type {HTMLButtonElement} */ ($("connect")).disabled = isClosed || isMissing;
  $("documents").hidden = !offered.documents;
  if (isMissing) problem(`There is no agent called '${name}'. Choose another one.`);
  else if (!isSecureContext) {
    problem(
      `This page was opened without encryption, so the browser gives it no microphone. On the server, run “media-server serve --host 0.0.0.0 --tls auto”, then open https://${location.host}/ here. You can type instead.`,
    );
    $("type-instead").hidden = isClosed;
  } else problem();
}

// -- the call

/** @param {boolean} [listens] whether the microphone is used */
async function call(listens = true) {
  if (session) return;
  problem();
  $("connect").hidden = $("type-instead").hidden = true;
  $("hangup").hidden = false;
  $("hangup").textContent = "Cancel";
  $("hangup").focus();
  const { name, title } = agents.chosen;
  const mine = (session = new VoiceSession({
    agent: name,
    audio: /** @type {HTMLAudioElement} */ ($("voice")),
    microphone: settings.microphone,
    listenLater: !listens,
    iceServers: offered.ice_servers,
    tools: $("home").hidden ? {} : home.tools,
    tokenProvider: tokens(name),
  }));
  show("connecting");
  listen(mine, title);
  try {
    await mine.connect();
    if (session === mine) begun(mine);
  } catch (error) {
    if (session !== mine) return; // it was cancelled meanwhile
    const code = error instanceof CallError ? error.code : "";
    const said = error instanceof Error ? error.message : String(error);
    over("failed");
    problem(said);
    if (KEY_LACKS.includes(code)) {
      await load();
      const usedUp = "The link was good for one call. Ask for another one, or enter a key.";
      if (cameByLink) problem(code.startsWith("token") ? said : usedUp, true);
    }
    if (INSECURE.includes(code)) $("type-instead").hidden = false;
  }
}

/** A token that came with the page's address, or one for an agent that is changed for this call. @param {string} agent */
function tokens(agent) {
  const changes = settings.changes();
  if (token) {
    const given = token;
    return async () => {
      token = "";
      return given;
    };
  }
  return Object.keys(changes).length ? async () => (await server.tokenFor(agent, changes)).token : undefined;
}

/** @param {VoiceSession} mine */
function begun(mine) {
  orb.voices = mine;
  settings.follow(mine);
  controls(true);
  developer.begin(mine);
  const live = settings.live();
  if (Object.keys(live).length) mine.configure(live);
  void settings.useSpeaker(mine);
  if (first !== null) mine.sendText(first);
  first = null;
  showCall();
}

/** @param {VoiceSession} s @param {string} title */
function listen(s, title) {
  let began = false;
  /** @param {string} type @param {(detail: any) => void} react */
  const on = (type, react) => s.addEventListener(type, (e) => react(/** @type {CustomEvent} */ (e).detail));
  on("event", (e) => {
    if (!began) {
      began = true;
      $("welcome").hidden = $("replay").hidden = true;
      transcript.begin(title);
    }
    transcript.at(e);
    developer.event(e);
  });
  on("transport", ({ kind }) => {
    // a small hint is enough: it works
    if (kind === "websocket") transcript.note("Connected over WebSocket: no WebRTC here.");
  });
  let trouble = "";
  on("change", ({ isMuted, playbackBlocked, microphoneLost, duration }) => {
    $("mute").textContent = isMuted ? "Unmute" : "Mute";
    $("mute").classList.toggle("muted", isMuted);
    $("clock").textContent = clock(duration);
    const now = playbackBlocked ? BLOCKED : microphoneLost ? UNHEARD : "";
    if (now ? now !== trouble : trouble && $("problem").textContent === trouble) problem(now, true);
    trouble = now;
    showCall();
  });
  on("state.changed", (e) => {
    heard = e.state;
    if (e.state !== "ended") showCall();
  });
  on("reconnecting", countDown);
  on("reconnected", () => {
    countDown(null);
    showCall();
    transcript.note("Reconnected.");
  });
  on("call.paused", () => {
    transcript.isPerson = true;
    transcript.note("A person has taken over the call.");
  });
  on("call.resumed", () => {
    transcript.isPerson = false;
    transcript.note(`${title} is back.`);
  });
  on("call.forwarded", (e) => e.agent && transcript.note(`Transferred to ${e.to}.`));
  on("connection.changed", ({ quality }) => {
    const bad = "Your connection is bad: some of what is said is lost. The agent waits a little longer for you.";
    transcript.note(quality === "bad" ? bad : "Your connection is good again.");
  });
  on("user.transcript", (e) => transcript.user(e));
  on("agent.text_delta", (e) => transcript.agentDelta(e));
  on("agent.text", (e) => transcript.agentText(e));
  on("agent.word", (e) => transcript.agentWord(e));
  on("agent.speech_stopped", (e) => transcript.agentStopped(e));
  on("tool.called", (e) => {
    transcript.toolCalled(e);
    if (e.runs_at === "client" && !(e.name in s.tools))
      s.send({ type: "tool.result", id: e.id, error: `This page has no tool called ${e.name}.` });
  });
  on("tool.returned", (e) => transcript.toolReturned(e));
  on("turn.metrics", (e) => transcript.latency(e));
  on(
    "idle.warning",
    (e) =>
      e.remaining_s > 0 &&
      transcript.note(`Nobody is speaking. The call ends in ${Math.round(e.remaining_s)} seconds.`),
  );
  on("warning", (e) => transcript.note(e.message));
  on("error", (e) => transcript.note(e.message));
  on("ended", ({ message, failed }) => {
    const id = s.callId;
    over("ended");
    if (message && failed) problem(message);
    else if (began) transcript.note(message ?? "You hung up.");
    $("save").hidden = !transcript.hasWords;
    const record = /** @type {HTMLAnchorElement} */ ($("in-console"));
    record.hidden = !began || !offered.may_edit;
    record.href = `admin#/calls/${encodeURIComponent(id)}`;
    if (began && agents.chosen.recording) void replay(id);
  });
}

/** @param {{attempt: number, of: number, gives_up_s: number} | null} attempt */
function countDown(attempt) {
  clearInterval(counting);
  const line = $("countdown");
  line.hidden = !attempt;
  if (!attempt) return;
  const until = performance.now() + attempt.gives_up_s * 1000;
  const tick = () => {
    const left = Math.max(0, Math.round((until - performance.now()) / 1000));
    line.textContent = `Attempt ${attempt.attempt} of ${attempt.of}, gives up in ${left} s`;
  };
  tick();
  counting = setInterval(tick, 1000);
}

/** @param {"ended" | "failed"} state */
function over(state) {
  session = orb.voices = null;
  heard = "listening";
  first = null;
  settings.follow(null);
  developer.end();
  countDown(null);
  controls(false);
  show(state);
}

/** @param {string} callId */
async function replay(callId) {
  const address = await server.recordingOf(callId);
  if (!address || session) return;
  /** @type {HTMLAudioElement} */ ($("replay").querySelector("audio")).src = address;
  $("replay").hidden = false;
}

/** Say something by typing; before a call, with one. @param {string} text */
async function say(text) {
  if (session) return session.sendText(text);
  first = text;
  await call();
}

// -- push to talk

const isPushing = () => settings.push.checked || agents.chosen.turns === "manual";

/** @param {boolean} [isNew] whether it was switched in a call that began otherwise */
function pushToTalk(isNew = false) {
  const inCall = session?.getState().status === "connected";
  const pushes = !!session?.microphone && isPushing();
  $("talk").hidden = !inCall || !pushes;
  $("mute").hidden = !inCall || pushes || !session?.microphone;
  if (!inCall || !session || (!isNew && !pushes)) return;
  if (isNew) session.configure({ turns: agents.chosen.turns, ...settings.live() });
  session.setMuted(pushes, false);
}

/** @param {boolean} down */
function hold(down) {
  const button = $("talk");
  if (!session || button.hidden || "held" in button.dataset === down) return;
  button.toggleAttribute("data-held", down);
  session.hold(down);
  button.textContent = down ? "Release to send" : "Hold to talk";
}

// -- what is done

$("connect").addEventListener("click", () => void call());
$("type-instead").addEventListener("click", () => void call(false).then(() => $("text").focus()));
$("hangup").addEventListener("click", () => session?.disconnect());
$("mute").addEventListener("click", () => session?.toggleMute());
$("developer").addEventListener("click", () => developerView($("developer").getAttribute("aria-pressed") !== "true"));
$("talk").addEventListener("pointerdown", (e) => {
  $("talk").setPointerCapture(e.pointerId);
  hold(true);
});
for (const type of ["pointerup", "pointercancel"]) $("talk").addEventListener(type, () => hold(false));
$("text-form").addEventListener("submit", (e) => {
  e.preventDefault();
  const input = /** @type {HTMLInputElement} */ ($("text"));
  const text = input.value.trim();
  if (text) session?.sendText(text);
  input.value = "";
});
$("key-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  const field = /** @type {HTMLInputElement} */ ($("key"));
  try {
    await server.signIn(field.value);
    field.value = "";
    await load();
    $("connect").focus();
  } catch (error) {
    problem(error instanceof Error ? error.message : String(error));
  }
});
placed($("exports"), $("save"));
for (const button of $("exports").querySelectorAll("button"))
  button.addEventListener("click", () => void keep(button.dataset.export ?? ""));

/** @param {string} how */
async function keep(how) {
  $("exports").hidePopover();
  if (how === "copy") {
    await navigator.clipboard?.writeText(asText(transcript.calls));
    $("spoken").textContent = "Copied";
    return;
  }
  if (how === "clear") {
    transcript.clear();
    $("save").hidden = $("replay").hidden = true;
    $("welcome").hidden = !!session;
    return;
  }
  const [make, type] = /** @type {const} */ ({
    txt: [asText, "text/plain"],
    json: [asJson, "application/json"],
    vtt: [asWebVtt, "text/vtt"],
  })[/** @type {"txt"} */ (how)];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([make(transcript.calls)], { type }));
  link.download = `conversation.${how}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {KeyboardEvent} e whether its key is for what has the focus */
const isTaken = (e) =>
  e.target instanceof Element &&
  !!e.target.closest("input, textarea, select, button, a, summary, audio, [popover], dialog");

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || settings.sheet.open) return;
  if (e.key === "Escape" && session && !document.querySelector(":popover-open")) return session.disconnect();
  const onTalk = e.target === $("talk");
  if (e.key === " " && (onTalk || !isTaken(e)) && !$("talk").hidden) {
    e.preventDefault();
    return hold(true);
  }
  if (isTaken(e) && !(e.target instanceof HTMLButtonElement)) return;
  const act = {
    m: () => $("mute").hidden || session?.toggleMute(),
    d: () => $("developer").click(),
    c: () => void call(),
  }[e.key.toLowerCase()];
  act?.();
});
document.addEventListener("keyup", (e) => e.key === " " && hold(false));
addEventListener("blur", () => hold(false));

/** Change what the page's address says, for who reloads or shares it. @param {string} name @param {string} value */
function address(name, value) {
  if (value) query.set(name, value);
  else query.delete(name);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}

if (token) address("token", ""); // it is good for one call: a reload, or a bookmark, has no use for it
agents.choose(query.get("agent") ?? "assistant");
developerView(remembered("developer view") === "on");
// what is clicked before there is anything behind it would be lost
for (const id of ["connect", "open-settings", "developer"]) $(id).toggleAttribute("disabled", false);
void load();
