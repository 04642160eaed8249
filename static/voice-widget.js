/**
 * `<voice-widget agent="mara">`: a button that one talks to, with what was said beside it.
 *
 * Attributes: `agent`, `base` (the server, where it is not the page's own), `label`, `transcript` (`off` hides what was
 * said), `variables` and `metadata` (JSON). Property: `tokenProvider`. Events: `status` ({status}), and the session's own.
 * Theme: `--vw-accent`, `--vw-accent-text`, `--vw-background`, `--vw-text`, `--vw-soft`, `--vw-mine`, `--vw-size`, `--vw-font`.
 * @module
 */

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
const PHASES = {
  listening: "Listening", user_speaking: "Hearing you", thinking: "Thinking", agent_speaking: "Speaking",
};
const FLOOR_DB = -50;

export class VoiceWidget extends HTMLElement {
  /** @type {(() => Promise<string>) | undefined} */
  tokenProvider = undefined;
  /** @type {VoiceSession | null} */
  session = null;
  /** @type {AudioContext | null} */
  audio = null;
  /** @type {Map<string, HTMLElement>} */
  lines = new Map();
  /** @type {Map<string, string>} */
  replies = new Map();

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = MARKUP;
    this.orb = this.part_("orb");
    this.voice = new Audio();
    this.orb.addEventListener("click", () => (this.session ? this.hangUp() : void this.call()));
    this.find(".end").addEventListener("click", () => this.hangUp());
    this.find(".mute").addEventListener("click", () => this.toggleMute());
    root.addEventListener("keydown", (e) => {
      if (/** @type {KeyboardEvent} */ (e).key === "Escape") this.hangUp();
    });
  }

  connectedCallback() {
    this.show("idle");
  }

  disconnectedCallback() {
    this.hangUp();
  }

  /** Begin a call; from a click, since it asks for the microphone. */
  async call() {
    if (this.session) return;
    this.problem();
    this.lines.clear();
    this.replies.clear();
    this.part_("transcript").replaceChildren();
    this.show("connecting");
    const session = (this.session = new VoiceSession({
      agent: this.getAttribute("agent") ?? "assistant", base: this.getAttribute("base") ?? "", tokenProvider: this.tokenProvider,
      variables: JSON.parse(this.getAttribute("variables") ?? "{}"), metadata: JSON.parse(this.getAttribute("metadata") ?? "{}"),
    }));
    this.listen(session);
    try {
      await session.connect();
      if (this.session === session) this.show("connected");
    } catch (error) {
      this.problem(error instanceof Error ? error.message : String(error));
      if (!(error instanceof CallError)) console.error(error);
      this.left("error");
    }
  }

  hangUp() {
    this.session?.hangUp();
  }

  toggleMute() {
    const button = this.find(".mute");
    const muted = button.getAttribute("aria-pressed") !== "true";
    this.session?.mute(muted);
    button.setAttribute("aria-pressed", String(muted));
    button.textContent = muted ? "Muted" : "Mute";
  }

  /** @param {VoiceSession} session */
  listen(session) {
    /** @param {string} type @param {(detail: any) => void} react */
    const on = (type, react) => session.addEventListener(type, (e) => react(/** @type {CustomEvent} */ (e).detail));
    on("streams", ({ voice }) => {
      this.voice.srcObject = voice;
      void this.voice.play().catch(() => this.problem("The browser does not play sound yet; click the page."));
      this.measure(voice);
    });
    on("state.changed", ({ state }) => this.phase(state));
    on("user.transcript", (e) => this.say(`user ${e.turn_id}`, "user", e.text, !e.final));
    on("agent.text_delta", (e) => {
      this.replies.set(e.turn_id, (this.replies.get(e.turn_id) ?? "") + e.text);
      this.say(`agent ${e.turn_id}`, "agent", this.replies.get(e.turn_id) ?? "", true);
    });
    on("agent.text", (e) => this.say(`agent ${e.turn_id}`, "agent", e.text, false));
    on("agent.speech_stopped", (e) => {
      if (e.reason === "interrupted") this.say(`agent ${e.turn_id}`, "agent", `${e.heard} —`, false);
    });
    on("server-event", (detail) => this.dispatchEvent(new CustomEvent(detail.type ?? "message", { detail })));
    on("ended", ({ message }) => {
      this.problem(message);
      this.left("idle");
    });
  }

  /** @param {string} key @param {string} who @param {string} text @param {boolean} partial */
  say(key, who, text, partial) {
    if (this.getAttribute("transcript") === "off") return;
    let line = this.lines.get(key);
    if (!text) {
      line?.remove();
      return;
    }
    const list = this.part_("transcript");
    if (!line) {
      this.lines.set(key, (line = document.createElement("li")));
      list.append(line);
    }
    line.className = `${who}${partial ? " partial" : ""}`;
    line.textContent = text;
    list.hidden = false;
    list.scrollTop = list.scrollHeight;
  }

  /** @param {string} status idle, connecting, connected or error */
  show(status) {
    this.dataset.status = status;
    const label = this.getAttribute("label") ?? "Talk";
    this.orb.setAttribute("aria-label", this.session ? "Hang up" : label);
    this.part_("controls").hidden = status !== "connected";
    this.part_("status").textContent = { idle: label, connecting: "Connecting …", error: label }[status] ?? "";
    this.dispatchEvent(new CustomEvent("status", { detail: { status } }));
  }

  /** @param {string} state */
  phase(state) {
    this.dataset.phase = state;
    const said = PHASES[/** @type {keyof typeof PHASES} */ (state)];
    if (said) this.part_("status").textContent = said;
  }

  /** @param {string} [message] */
  problem(message) {
    this.part_("problem").textContent = message ?? "";
    this.part_("problem").hidden = !message;
  }

  /** @param {string} status */
  left(status) {
    this.session = null;
    void this.audio?.close().catch(() => {});
    this.audio = null;
    this.style.removeProperty("--level");
    delete this.dataset.phase;
    this.find(".mute").setAttribute("aria-pressed", "false");
    this.find(".mute").textContent = "Mute";
    this.show(status);
  }

  /** The orb moves with the agent's voice. @param {MediaStream} voice */
  measure(voice) {
    const audio = (this.audio = new AudioContext());
    const analyser = audio.createAnalyser();
    analyser.fftSize = 1024;
    audio.createMediaStreamSource(voice).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const draw = () => {
      if (audio.state === "closed") return;
      analyser.getFloatTimeDomainData(samples);
      const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
      const level = Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms + 1e-9)) / FLOOR_DB));
      this.style.setProperty("--level", level.toFixed(3));
      requestAnimationFrame(draw);
    };
    draw();
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
