/**
 * `<voice-widget agent="mara">`: a button that one talks to, with what was said beside it.
 *
 * Attributes: `agent`, `server` (where it is not the page's own), `label`, `transcript` (`off` hides what was
 * said), `variables` and `metadata` (JSON). Properties: `tokenProvider`, `tools`. Events: `status` ({status}), and the session's own.
 * Theme: `--vw-accent`, `--vw-accent-text`, `--vw-background`, `--vw-text`, `--vw-soft`, `--vw-mine`, `--vw-size`, `--vw-font`.
 * @module
 */

import { IDLE } from "./call-state.js";
import { CallError, VoiceSession } from "./voice-session.js";

const STYLE = `
:host {
  /* as the page is, not as the system would like it: light-dark() goes by the page's color-scheme */
  --accent: var(--vw-accent, light-dark(#0f766e, #2dd4bf)); --accent-text: var(--vw-accent-text, light-dark(#ffffff, #06201c));
  --background: var(--vw-background, light-dark(#ffffff, #151f1d)); --text: var(--vw-text, light-dark(#14201e, #e6efed));
  --soft: var(--vw-soft, light-dark(#50615d, #a3b4b0)); --mine: var(--vw-mine, light-dark(#d8f1ec, #134e48)); --size: var(--vw-size, 4.5rem);
  display: inline-flex; flex-direction: column; align-items: center; gap: .6rem; max-width: 100%;
  color: var(--text); font: var(--vw-font, 16px/1.45 system-ui, sans-serif);
}
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
.said {
  list-style: none; margin: 0; padding: .8rem; box-sizing: border-box; width: min(22rem, 92vw); max-height: 16rem; overflow-y: auto;
  display: flex; flex-direction: column; gap: .4rem; background: var(--background); border-radius: 14px; box-shadow: 0 4px 24px rgb(0 0 0 / 14%);
}
.said li { padding: .4rem .7rem; border-radius: 12px; max-width: 85%; overflow-wrap: anywhere; background: color-mix(in srgb, var(--soft) 14%, transparent); align-self: flex-start; }
.said li.user { background: var(--mine); align-self: flex-end; }
.said li.partial { opacity: .75; }
.row { display: flex; gap: .5rem; }
.small { background: color-mix(in srgb, var(--soft) 20%, transparent); color: inherit; border-radius: 999px; padding: .45rem 1rem; min-height: 2.4rem; }
@media (prefers-reduced-motion: reduce) { .orb, .orb::before { animation: none !important; transition: none; transform: none; } }
`;
const MARKUP = `
<ul class="said" part="transcript" role="log" aria-live="polite" aria-label="Conversation" tabindex="0" hidden></ul>
<p class="problem" part="problem" role="alert" hidden></p>
<button class="orb" part="orb" type="button">
  <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true">
    <path d="M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 1 0-7 0v5A3.5 3.5 0 0 0 12 15Zm6-3.5a6 6 0 0 1-12 0M12 17.5V21"/>
  </svg>
</button>
<p class="status" part="status" role="status"></p>
<div class="row" part="controls" hidden>
  <button class="small mute" type="button" aria-pressed="false">Mute</button>
  <button class="small end" type="button">Hang up</button>
</div>
`;
const PHASES = { listening: "Listening", speaking: "Hearing you", pause: "Hearing you", thinking: "Thinking", idle: "" };

export class VoiceWidget extends HTMLElement {
  /** @type {import("./voice-session.js").Options["tokenProvider"]} */
  tokenProvider = undefined;
  /** @type {import("./voice-session.js").Options["tools"]} */
  tools = {};
  /** @type {VoiceSession | null} */
  session = null;
  /** @type {Map<string, HTMLElement>} */
  lines = new Map();

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = MARKUP;
    this.orb = this.part_("orb");
    this.orb.addEventListener("click", () => (this.session ? this.hangUp() : void this.call()));
    this.find(".end").addEventListener("click", () => this.hangUp());
    this.find(".mute").addEventListener("click", () => this.session?.toggleMute());
    root.addEventListener("keydown", (e) => {
      if (/** @type {KeyboardEvent} */ (e).key === "Escape") this.hangUp();
    });
  }

  connectedCallback() {
    this.show(IDLE);
  }

  disconnectedCallback() {
    this.hangUp();
  }

  /** Begin a call; from a click, since it asks for the microphone. */
  async call() {
    if (this.session) return;
    const session = (this.session = new VoiceSession({
      agent: this.getAttribute("agent") ?? "assistant", server: this.getAttribute("server") ?? "", tokenProvider: this.tokenProvider, tools: this.tools,
      variables: JSON.parse(this.getAttribute("variables") ?? "{}"), metadata: JSON.parse(this.getAttribute("metadata") ?? "{}"),
    }));
    this.lines.clear();
    this.part_("transcript").replaceChildren();
    session.subscribe(() => this.session === session && this.show(session.getState()));
    session.addEventListener("event", (e) => {
      const { detail } = /** @type {CustomEvent} */ (e);
      this.dispatchEvent(new CustomEvent(detail.type ?? "message", { detail }));
    });
    session.addEventListener("ended", () => this.left(session));
    requestAnimationFrame(() => this.draw(session));
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

  /** @param {VoiceSession} session */
  left(session) {
    if (this.session !== session) return;
    this.session = null;
    this.show(session.getState());
  }

  /** @param {import("./call-state.js").CallState} state */
  show(state) {
    const { status, phase, agentSpeaking, isMuted, error, playbackBlocked } = state;
    const label = this.getAttribute("label") ?? "Talk";
    const said = agentSpeaking ? "Speaking" : PHASES[phase];
    this.dataset.phase = phase;
    this.orb.setAttribute("aria-label", this.session ? "Hang up" : label);
    this.part_("controls").hidden = status !== "connected" && status !== "reconnecting";
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
    const list = this.part_("transcript");
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
      list.scrollTop = list.scrollHeight;
    }
    for (const [id, line] of this.lines) if (!messages.some((m) => m.id === id)) line.remove();
    list.hidden = !messages.length;
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

customElements.define("voice-widget", VoiceWidget);
