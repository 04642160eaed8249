/**
 * `<voice-widget agent="mara">`: a button that one talks to, with what was said beside it.
 *
 * Attributes: `mode` (`orb`; `modal`: a button in the corner of the page that opens a panel; `chat`: in writing), `agent`, `server` (where
 * it is not the page's own), `label`, `transcript` (`off` hides what was said), `variables` and `metadata` (JSON).
 * Properties: `tokenProvider`, `tools`. Events: `status` ({status}), and the session's own.
 * Theme: `theme` (`light`, `dark`, `midnight`, `aurora`, `sunset`; without it the page's light or dark), and `--vw-accent`, `--vw-accent-text`, `--vw-background`, `--vw-text`, `--vw-soft`, `--vw-mine`, `--vw-size`, `--vw-font`.
 * @module
 */

import { IDLE } from "./call-state.js";
import { ChatSession } from "./chat-session.js";
import { CallError, VoiceSession } from "./voice-session.js";

const STYLE = `
:host {
  /* as the page is, not as the system would like it: light-dark() goes by the page's color-scheme */
  --accent: var(--vw-accent, var(--theme-accent, light-dark(#0f766e, #2dd4bf))); --accent-text: var(--vw-accent-text, light-dark(#ffffff, #06201c));
  --background: var(--vw-background, var(--theme-background, light-dark(#ffffff, #151f1d))); --text: var(--vw-text, light-dark(#14201e, #e6efed));
  --soft: var(--vw-soft, light-dark(#50615d, #a3b4b0)); --mine: var(--vw-mine, var(--theme-mine, light-dark(#d8f1ec, #134e48))); --size: var(--vw-size, 4.5rem);
  display: inline-flex; flex-direction: column; align-items: center; gap: .6rem; max-width: 100%;
  color: var(--text); font: var(--vw-font, 16px/1.45 system-ui, sans-serif);
}
:host([theme=light]), :host([theme=sunset]) { color-scheme: light; }
:host([theme=dark]), :host([theme=midnight]), :host([theme=aurora]) { color-scheme: dark; }
:host([theme=midnight]) { --theme-accent: #a5b4fc; --theme-background: #0f1330; --theme-mine: #312e81; }
:host([theme=aurora]) { --theme-accent: #6ee7b7; --theme-background: #0b2027; --theme-mine: #14532d; }
:host([theme=sunset]) { --theme-accent: #c2410c; --theme-background: #fff7ed; --theme-mine: #fed7aa; }
:host([theme]:not([mode=modal])) { background: var(--background); padding: 1rem; border-radius: 18px; }
[hidden] { display: none !important; }
button { font: inherit; border: 0; cursor: pointer; }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 3px; }
.orb {
  position: relative; width: var(--size); height: var(--size); border-radius: 50%; padding: 0;
  display: grid; place-items: center; background: var(--accent); color: var(--accent-text);
}
.orb::before {
  content: ""; position: absolute; inset: 0; border-radius: 50%; background: var(--accent); opacity: .3; z-index: -1;
  transform: scale(calc(1 + var(--level, 0) * .6)); transition: transform 80ms linear;
}
.orb svg { width: 45%; height: 45%; }
:host([data-status=connecting]) .orb, :host([data-phase=thinking]) .orb { animation: breathe 1s ease-in-out infinite alternate; }
@keyframes breathe { to { opacity: .6; } }
.status { margin: 0; font-size: .88em; color: var(--soft); min-height: 1.45em; text-align: center; }
.problem { margin: 0; max-width: 20rem; padding: .5rem .8rem; border-radius: 10px; background: #fdecec; color: #991b1b; font-size: .9em; }
.said { padding: .8rem; box-sizing: border-box; width: min(22rem, 92vw); max-height: 16rem; overflow-y: auto; background: var(--background); border-radius: 14px; box-shadow: 0 4px 24px rgb(0 0 0 / 14%);
}
.said ul { list-style: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: .4rem; }
.said li { padding: .4rem .7rem; border-radius: 12px; max-width: 85%; overflow-wrap: anywhere; background: color-mix(in srgb, var(--soft) 14%, transparent); align-self: flex-start; }
.said li.user { background: var(--mine); align-self: flex-end; }
.said li.partial { opacity: .75; }
.row { display: flex; gap: .5rem; }
.write { width: 100%; }
.write input {
  flex: 1; min-width: 0; font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 999px; padding: .45rem 1rem;
}
.write input:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.panel {
  flex-direction: column; align-items: center; gap: .6rem; box-sizing: border-box; width: min(24rem, 100vw - 2rem); max-height: calc(100vh - 2rem); overflow-y: auto;
  inset: auto 1rem 1rem auto; margin: 0; padding: 1rem; border: 0; border-radius: 18px; background: var(--background); color: inherit; box-shadow: 0 12px 48px rgb(0 0 0 / 30%);
}
.panel[open] { display: flex; }
.panel::backdrop { background: rgb(0 0 0 / 25%); }
.panel .said { box-shadow: none; padding: 0; width: 100%; }
.close { align-self: flex-end; padding: .2rem .8rem; min-height: 2rem; }
:host([mode=modal]) { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; }
:host([mode=chat]) { width: min(24rem, 92vw); }
:host([mode=chat]) .said { width: 100%; }
.small { background: color-mix(in srgb, var(--soft) 20%, transparent); color: inherit; border-radius: 999px; padding: .45rem 1rem; min-height: 2.4rem; }
@media (prefers-reduced-motion: reduce) { .orb, .orb::before { animation: none !important; transition: none; transform: none; } }
`;
const ORB = `
  <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true">
    <path d="M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 1 0-7 0v5A3.5 3.5 0 0 0 12 15Zm6-3.5a6 6 0 0 1-12 0M12 17.5V21"/>
  </svg>
`;
const MARKUP = `
<div class="said" part="transcript" role="log" aria-live="polite" aria-label="Conversation" tabindex="0" hidden><ul></ul></div>
<p class="problem" part="problem" role="alert" hidden></p>
<button class="orb" part="orb" type="button">${ORB}</button>
<p class="status" part="status" role="status"></p>
<div class="row" part="controls" hidden>
  <button class="small mute" type="button" aria-pressed="false">Mute</button>
  <button class="small end" type="button">Hang up</button>
</div>
<form class="row write" part="write" hidden>
  <input type="text" aria-label="Write to the agent" placeholder="Write …" autocomplete="off" maxlength="4000">
  <button class="small" type="submit">Send</button>
</form>
`;
const MODAL = `
<button class="orb" part="launcher" type="button" aria-haspopup="dialog">${ORB}</button>
<dialog class="panel" part="panel"><button class="small close" type="button" aria-label="Close">×</button>${MARKUP}</dialog>
`;
const PHASES = { listening: "Listening", speaking: "Hearing you", pause: "Hearing you", thinking: "Thinking", idle: "" };

export class VoiceWidget extends HTMLElement {
  /** @type {import("./voice-session.js").Options["tokenProvider"]} */
  tokenProvider = undefined;
  /** @type {import("./voice-session.js").Options["tools"]} */
  tools = {};
  /** @type {VoiceSession | ChatSession | null} */
  session = null;
  /** @type {Map<string, HTMLElement>} */
  lines = new Map();

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.addEventListener("keydown", (e) => {
      if (/** @type {KeyboardEvent} */ (e).key === "Escape" && this.mode !== "chat") this.hangUp();
    });
  }

  /** @returns {"orb" | "modal" | "chat"} */
  get mode() {
    const mode = this.getAttribute("mode");
    return mode === "modal" || mode === "chat" ? mode : "orb";
  }

  connectedCallback() {
    this.build();
    this.show(IDLE);
  }

  /** What there is in this mode. */
  build() {
    const { shadowRoot: root, mode } = this;
    if (!root) return;
    root.innerHTML = mode === "modal" ? MODAL : MARKUP;
    this.lines.clear();
    this.part_("orb").hidden = mode === "chat";
    this.part_("orb").addEventListener("click", () => (this.session ? this.hangUp() : void this.call()));
    this.find(".end").addEventListener("click", () => this.hangUp());
    this.find(".mute").addEventListener("click", () => this.session instanceof VoiceSession && this.session.toggleMute());
    const form = this.part_("write");
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void this.write(/** @type {HTMLInputElement} */ (form.querySelector("input")));
    });
    if (mode !== "modal") return;
    const panel = /** @type {HTMLDialogElement} */ (this.part_("panel"));
    const label = this.getAttribute("label") ?? "Talk";
    panel.setAttribute("aria-label", label);
    const launcher = this.part_("launcher");
    launcher.setAttribute("aria-label", label);
    launcher.addEventListener("click", () => {
      panel.showModal();
      void this.call();
    });
    this.find(".close").addEventListener("click", () => panel.close());
    panel.addEventListener("close", () => this.hangUp());
  }

  disconnectedCallback() {
    this.hangUp();
  }

  /** Begin a call, or a conversation in writing; from a click, since a call asks for the microphone. */
  async call() {
    if (this.session) return;
    const options = {
      agent: this.getAttribute("agent") ?? "assistant", server: this.getAttribute("server") ?? "", tokenProvider: this.tokenProvider, tools: this.tools,
      variables: JSON.parse(this.getAttribute("variables") ?? "{}"), metadata: JSON.parse(this.getAttribute("metadata") ?? "{}"),
    };
    const session = (this.session = this.mode === "chat" ? new ChatSession(options) : new VoiceSession(options));
    this.lines.clear();
    this.find(".said ul").replaceChildren();
    session.subscribe(() => {
      if (this.session !== session) return;
      const state = stateOf(session);
      if (state.status === "idle" || state.status === "error") this.left(session);
      else this.show(state);
    });
    session.addEventListener("event", (e) => {
      const { detail } = /** @type {CustomEvent} */ (e);
      this.dispatchEvent(new CustomEvent(detail.type ?? "message", { detail }));
    });
    if (session instanceof VoiceSession) requestAnimationFrame(() => this.draw(session));
    try {
      await session.connect();
    } catch (error) {
      if (!(error instanceof CallError)) console.error(error);
      this.left(session);
    }
  }

  hangUp() {
    this.session?.disconnect();
  }

  /** Send what is in the field; in writing the first message begins the conversation. @param {HTMLInputElement} field */
  async write(field) {
    const text = field.value.trim();
    if (!text) return;
    if (this.mode === "chat") await this.call();
    if (this.session?.getState().status !== "connected") return; // what was written stays, and the page says why
    field.value = "";
    if (this.session instanceof VoiceSession) this.session.sendText(text);
    else this.session.send(text);
  }

  /** @param {VoiceSession | ChatSession} session */
  left(session) {
    if (this.session !== session) return;
    this.session = null;
    this.show(stateOf(session));
  }

  /** @param {import("./call-state.js").CallState} state */
  show(state) {
    const { status, phase, agentSpeaking, isMuted, error, playbackBlocked } = state;
    const label = this.getAttribute("label") ?? "Talk";
    const { mode } = this;
    const isUp = status === "connected" || status === "reconnecting";
    const said = mode === "chat" ? (phase === "thinking" ? "Writing …" : "") : agentSpeaking ? "Speaking" : PHASES[phase];
    this.dataset.phase = phase;
    this.part_("orb").setAttribute("aria-label", this.session ? "Hang up" : label);
    this.part_("controls").hidden = mode === "chat" || !isUp;
    this.part_("write").hidden = mode === "orb" || (mode === "modal" && !isUp);
    this.part_("status").textContent = { idle: label, error: label, connecting: "Connecting …", reconnecting: "Connecting again …", connected: said }[status];
    const problem = error?.message ?? (playbackBlocked ? "The browser does not play sound yet; click the page." : "");
    this.part_("problem").textContent = problem;
    this.part_("problem").hidden = !problem;
    const mute = this.find(".mute");
    mute.setAttribute("aria-pressed", String(isMuted));
    mute.textContent = isMuted ? "Muted" : "Mute";
    this.showMessages(state.messages);
    if (status === this.dataset.status) return;
    this.dataset.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: { status } }));
  }

  /** @param {readonly import("./call-state.js").Message[]} messages */
  showMessages(messages) {
    if (this.getAttribute("transcript") === "off") return;
    const log = this.part_("transcript");
    const list = this.find(".said ul");
    for (const { id, role, text, isInterim, interrupted } of messages) {
      let line = this.lines.get(id);
      if (!line) {
        this.lines.set(id, (line = document.createElement("li")));
        list.append(line);
      }
      line.className = `${role === "bot" ? "agent" : role}${isInterim ? " partial" : ""}`;
      const shown = interrupted ? `${text} —` : text;
      if (line.textContent === shown) continue;
      line.textContent = shown;
      log.scrollTop = log.scrollHeight;
    }
    for (const [id, line] of this.lines) {
      if (messages.some((m) => m.id === id)) continue;
      line.remove();
      this.lines.delete(id);
    }
    log.hidden = !messages.length;
  }

  /** The orb moves with the agent's voice. @param {VoiceSession} session */
  draw(session) {
    if (this.session !== session) {
      this.style.removeProperty("--level");
      return;
    }
    this.style.setProperty("--level", session.level("agent").toFixed(3));
    requestAnimationFrame(() => this.draw(session));
  }

  /** @param {string} selector @returns {HTMLElement} */
  find(selector) {
    return /** @type {HTMLElement} */ (this.shadowRoot?.querySelector(selector));
  }

  /** @param {string} name */
  part_(name) {
    return this.find(`[part="${name}"]`);
  }
}

/** What the widget shows of a session. @param {VoiceSession | ChatSession} session @returns {import("./call-state.js").CallState} */
function stateOf(session) {
  if (session instanceof VoiceSession) return session.getState();
  const { status, messages, typing, streamingText, error } = session.getState();
  /** @type {import("./call-state.js").Message[]} */
  const shown = messages.map((m) => ({ id: m.id, role: m.role === "user" ? "user" : "bot", text: m.text }));
  if (streamingText) shown.push({ id: "streaming", role: "bot", text: streamingText, isInterim: true });
  return { ...IDLE, status, error, messages: shown, phase: typing ? "thinking" : "listening" };
}

customElements.define("voice-widget", VoiceWidget);
