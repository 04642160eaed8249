/**
 * `<voice-widget agent="mara">`: a button that visitors of a site talk to, with what was said beside it.
 *
 * Attributes: the table in `widget-attributes.js`; `text-…` replaces one of the texts in `widget-texts.js` (`text-hang-up="Bye"`).
 * Properties: `tokenProvider`, `tools`. Methods: `call()`, `hangUp()`. Events: `status` ({status}), and the session's own.
 * Style: `--vw-accent`, `--vw-accent-text`, `--vw-background`, `--vw-text`, `--vw-soft`, `--vw-mine`, `--vw-size`, `--vw-font`, and the
 * parts `orb`, `transcript`, `status`, `problem`, `controls`, `hold`, `write`, `panel`, `launcher`.
 * @module
 */

import { IDLE } from "./call-state.js";
import { ChatSession } from "./chat-session.js";
import { CallError, VoiceSession } from "./voice-session.js";
import { ATTRIBUTES, textAttribute } from "./widget-attributes.js";
import { STYLE } from "./widget-style.js";
import { TEXTS, problemText } from "./widget-texts.js";

const icon = (/** @type {string} */ path) =>
  `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true"><path d="${path}"/></svg>`;
const MICROPHONE = icon(
  "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 1 0-7 0v5A3.5 3.5 0 0 0 12 15Zm6-3.5a6 6 0 0 1-12 0M12 17.5V21",
);
const CLOSE = icon("m6 6 12 12M18 6 6 18");
const ORB = `<button class="orb" part="orb" type="button"></button>`;
const STATUS = `<p class="status" part="status" role="status"></p>`;
const FLOAT = `
<div class="float">
  <div class="consent" part="consent" hidden><p></p><div class="row"><button class="small strong agree" type="button"></button><button class="small decline" type="button"></button></div></div>
  <div class="said" part="transcript" role="log" aria-live="polite" tabindex="0" hidden><ul></ul></div>
  <p class="problem" part="problem" role="alert" hidden></p>
  <div class="devices" part="devices" hidden><label><span></span><select class="microphone"></select></label><label><span></span><select class="loudspeaker"></select></label></div>
  <div class="row" part="controls" hidden>
    <button class="small strong hold" part="hold" type="button"></button>
    <button class="small mute" type="button"></button>
    <button class="small square choose" type="button" aria-expanded="false">${icon("M4 7h9M19 7h1M4 17h1M11 17h9M16 4.4a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2M8 14.4a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2")}</button>
    <button class="small end" type="button"></button>
  </div>
  <form class="row write" part="write" hidden><input type="text" autocomplete="off" maxlength="4000"><button class="small strong send" type="submit"></button></form>
  <button class="small clear" type="button" hidden></button>
</div>`;
const MODAL = `
<button class="orb launcher" part="launcher" type="button" aria-haspopup="dialog"></button>
<dialog class="panel" part="panel" tabindex="-1">
  <div class="head"><span></span><button class="small square minimise" type="button">${icon("M6 12h12")}</button><button class="small square close" type="button">${CLOSE}</button></div>
  ${ORB}${STATUS}${FLOAT}
</dialog>`;
const PHASES = { listening: "listening", speaking: "hearing", pause: "hearing", thinking: "thinking", idle: "" };

export class VoiceWidget extends HTMLElement {
  static observedAttributes = ATTRIBUTES.map(({ name }) => name).filter((name) => name !== "theme");
  /** @type {import("./voice-session.js").Options["tokenProvider"]} */
  tokenProvider = undefined;
  /** @type {import("./voice-session.js").Options["tools"]} */
  tools = {};
  /** @type {VoiceSession | ChatSession | null} */
  session = null;
  /** @type {Map<string, HTMLElement>} */
  lines = new Map();
  /** @type {WeakMap<HTMLElement, import("./call-state.js").Message>} what each of them shows */
  #drawn = new WeakMap();
  #agreed = false;
  #problem = "";

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.addEventListener("keydown", (e) => {
      if (/** @type {KeyboardEvent} */ (e).key !== "Escape" || this.mode === "chat") return;
      if (this.mode === "modal") this.#close();
      else this.hangUp();
    });
  }

  /** @returns {"orb" | "modal" | "chat"} */
  get mode() {
    const mode = this.getAttribute("mode");
    return mode === "modal" || mode === "chat" ? mode : "orb";
  }

  // frameworks set a property where there is one, and attributes otherwise
  set mode(mode) {
    this.setAttribute("mode", mode);
  }

  get label() {
    return this.getAttribute("label") ?? this.text("talk");
  }

  set label(label) {
    this.setAttribute("label", label);
  }

  /** A text in the visitor's language, or what an attribute says in its place. @param {string} name */
  text(name) {
    if (!name) return "";
    const lang = this.getAttribute("lang") || this.closest("[lang]")?.getAttribute("lang") || navigator.language;
    return this.getAttribute(textAttribute(name)) ?? (TEXTS[lang.slice(0, 2).toLowerCase()] ?? TEXTS.en)[name];
  }

  connectedCallback() {
    this.build();
    this.show(IDLE);
  }

  disconnectedCallback() {
    this.hangUp();
  }

  attributeChangedCallback() {
    if (!this.isConnected || !this.shadowRoot?.childElementCount || this.session) return;
    this.build();
    this.show(IDLE);
  }

  /** What there is in this mode. */
  build() {
    const { shadowRoot: root, mode } = this;
    if (!root) return;
    root.innerHTML = mode === "modal" ? MODAL : `${mode === "chat" ? "" : ORB}${STATUS}${FLOAT}`;
    this.lines.clear();
    this.#problem = "";
    for (const orb of root.querySelectorAll(".orb")) this.#face(/** @type {HTMLElement} */ (orb));
    this.#words();
    root
      .querySelector('[part="orb"]')
      ?.addEventListener("click", () => (this.session ? this.hangUp() : void this.call()));
    this.find(".end").addEventListener("click", () => this.hangUp());
    this.find(".mute").addEventListener(
      "click",
      () => this.session instanceof VoiceSession && this.session.toggleMute(),
    );
    this.#pushToTalk(this.part_("hold"));
    this.find(".choose").addEventListener("click", () => void this.#devices());
    this.find(".agree").addEventListener("click", async () => {
      await this.call((this.#agreed = true));
      // what was written before the visitor was asked
      if (mode === "chat") await this.write(/** @type {HTMLInputElement} */ (this.find(".write input")));
    });
    this.find(".decline").addEventListener("click", () => (this.part_("consent").hidden = true) && this.#close());
    this.find(".clear").addEventListener("click", () => this.#clear());
    const form = this.part_("write");
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void this.write(/** @type {HTMLInputElement} */ (form.querySelector("input")));
    });
    if (mode !== "modal") return;
    this.part_("launcher").addEventListener("click", () =>
      this.panel?.open && this.session ? this.panel.close() : this.#open(),
    );
    this.find(".close").addEventListener("click", () => this.#close());
    this.find(".minimise").addEventListener("click", () => {
      this.panel?.close();
      this.part_("launcher").focus();
    });
    this.panel?.addEventListener("close", () => this.#launcher());
  }

  /** Whether visitors hold a button while they speak. */
  get pushes() {
    return this.getAttribute("push-to-talk") === "on";
  }

  /** @param {HTMLElement} button */
  #pushToTalk(button) {
    const hold = (/** @type {boolean} */ down) => {
      if (!(this.session instanceof VoiceSession)) return;
      this.session.hold(down);
      button.textContent = this.text(down ? "release" : "hold");
    };
    const isKey = (/** @type {KeyboardEvent} */ e) => e.key === " " || e.key === "Enter";
    button.addEventListener("pointerdown", (e) => {
      button.setPointerCapture(e.pointerId);
      hold(true);
    });
    for (const type of ["pointerup", "pointercancel", "blur"]) button.addEventListener(type, () => hold(false));
    button.addEventListener("keydown", (e) => isKey(e) && hold(true));
    button.addEventListener("keyup", (e) => isKey(e) && hold(false));
  }

  get panel() {
    return /** @type {HTMLDialogElement | null} */ (this.shadowRoot?.querySelector(".panel") ?? null);
  }

  /** @param {HTMLElement} orb */
  #face(orb) {
    const avatar = this.getAttribute("avatar") ?? "";
    if (avatar.length > 2) {
      const picture = document.createElement("img");
      picture.src = avatar;
      picture.alt = "";
      orb.replaceChildren(picture);
    } else if (avatar) orb.textContent = avatar;
    else orb.innerHTML = MICROPHONE;
  }

  /** The texts that stay the same. */
  #words() {
    const name = (/** @type {string} */ selector, /** @type {string} */ text) => {
      const element = this.shadowRoot?.querySelector(selector);
      element?.setAttribute("aria-label", this.text(text));
      element?.setAttribute("title", this.text(text));
    };
    const write = (/** @type {string} */ selector, /** @type {string} */ text) =>
      (this.find(selector).textContent = this.text(text));
    for (const [selector, text] of [
      [".close", "close"],
      [".minimise", "minimise"],
      [".choose", "devices"],
    ])
      name(selector, text);
    for (const [selector, text] of [
      [".end", "hangUp"],
      [".hold", "hold"],
      [".send", "send"],
      [".agree", "agree"],
      [".decline", "decline"],
      [".clear", "clear"],
    ])
      write(selector, text);
    this.part_("transcript").setAttribute("aria-label", this.text("conversation"));
    const [microphone, loudspeaker] = this.part_("devices").querySelectorAll("span");
    microphone.textContent = this.text("microphone");
    loudspeaker.textContent = this.text("loudspeaker");
    const field = /** @type {HTMLInputElement} */ (this.find(".write input"));
    field.setAttribute("aria-label", this.text("writeTo"));
    field.placeholder = this.text("placeholder");
    /** @type {HTMLElement} */ (this.part_("consent").firstElementChild).textContent = this.getAttribute("consent");
    const heading = this.getAttribute("heading") ?? this.label;
    this.panel?.setAttribute("aria-label", heading);
    const head = this.shadowRoot?.querySelector(".head span");
    if (head) head.textContent = heading;
  }

  #open() {
    this.panel?.show();
    this.panel?.focus();
    this.#launcher();
    void this.call();
  }

  /** Hang up, and close the panel where there is one. */
  #close() {
    this.hangUp();
    if (!this.panel?.open) return;
    this.panel.close();
    this.part_("launcher").focus();
  }

  /** The button in the corner says what it does now. */
  #launcher() {
    const launcher = this.part_("launcher");
    launcher.setAttribute("aria-expanded", String(!!this.panel?.open));
    launcher.setAttribute("aria-label", this.session && !this.panel?.open ? this.text("reopen") : this.label);
    launcher.querySelector(".badge")?.remove();
    if (this.session) launcher.appendChild(document.createElement("i")).className = "badge";
  }

  /** Begin a call, or a conversation in writing; from a click, since a call asks for the microphone. @param {boolean} [agreed] to `consent` */
  async call(agreed = this.#agreed) {
    if (this.session) return;
    this.#problem = "";
    if (this.getAttribute("consent") && !agreed) {
      this.part_("consent").hidden = false;
      this.#arrange();
      this.find(".agree").focus();
      return;
    }
    this.part_("consent").hidden = true;
    const session = (this.session =
      this.mode === "chat" ? new ChatSession(this.#options()) : new VoiceSession(this.#options()));
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
      const isMine = this.dispatchEvent(new CustomEvent(detail.type ?? "message", { detail, cancelable: true }));
      // a page that answers by itself says so by preventDefault()
      if (
        isMine &&
        detail.type === "tool.called" &&
        detail.runs_at === "client" &&
        !(detail.name in (this.tools ?? {})) &&
        session instanceof VoiceSession
      ) {
        session.send({ type: "tool.result", id: detail.id, error: `This page has no tool called ${detail.name}.` });
      }
    });
    if (session instanceof VoiceSession) requestAnimationFrame(() => this.draw(session));
    try {
      await session.connect();
      if (this.pushes && session instanceof VoiceSession) {
        session.configure({ turns: "manual" });
        session.setMuted(true, false);
      }
    } catch (error) {
      if (!(error instanceof CallError)) console.error(error);
      this.left(session);
    }
  }

  #options() {
    const address = this.getAttribute("token-url");
    return {
      agent: this.getAttribute("agent") || "assistant",
      server: (this.getAttribute("server") ?? "").replace(/\/$/, ""),
      tools: this.tools,
      tokenProvider: this.tokenProvider ?? (address ? () => tokenFrom(address) : undefined),
      variables: this.#json("variables"),
      metadata: this.#json("metadata"),
    };
  }

  /** @param {string} name */
  #json(name) {
    try {
      return JSON.parse(this.getAttribute(name) || "{}");
    } catch {
      console.error(`<voice-widget>: the attribute ${name} is not JSON.`);
      return {};
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
    const { error } = session.getState();
    if (error) {
      console.warn(`<voice-widget>: ${error.code}: ${error.message}`);
      this.#problem = this.text(problemText(error.code));
    }
    this.show(stateOf(session));
  }

  /** @param {import("./call-state.js").CallState} state */
  show(state) {
    const { status, phase, agentSpeaking, isMuted, personInCall, playbackBlocked, microphoneLost } = state;
    const { mode, label } = this;
    const isUp = status === "connected" || status === "reconnecting";
    const doing = personInCall
      ? "person"
      : agentSpeaking
        ? "speaking"
        : isMuted && phase !== "thinking"
          ? this.pushes
            ? ""
            : "muted"
          : PHASES[phase];
    const said = mode === "chat" ? (phase === "thinking" ? "writing" : "") : doing;
    this.dataset.phase = phase;
    this.shadowRoot
      ?.querySelector('[part="orb"]')
      ?.setAttribute("aria-label", this.session ? this.text("hangUp") : label);
    this.part_("controls").hidden = mode === "chat" || !isUp;
    this.part_("hold").hidden = !this.pushes;
    this.find(".mute").hidden = this.pushes;
    this.find(".choose").hidden = this.getAttribute("devices") === "off";
    if (!isUp) {
      this.part_("devices").hidden = true;
      this.part_("hold").textContent = this.text("hold");
    }
    this.part_("write").hidden = mode === "orb" || (mode === "modal" && !isUp);
    this.part_("status").textContent = {
      idle: label,
      error: label,
      connecting: this.text("connecting"),
      reconnecting: this.text("reconnecting"),
      connected: this.text(said),
    }[status];
    const trouble = playbackBlocked ? "tapToHear" : microphoneLost ? "noMicrophone" : "";
    const problem = this.#problem || (trouble && this.text(trouble));
    this.part_("problem").textContent = problem;
    this.part_("problem").hidden = !problem;
    this.find(".mute").textContent = this.text(isMuted ? "unmute" : "mute");
    if (this.panel) this.#launcher();
    this.showMessages(state.messages);
    this.find(".clear").hidden = mode !== "orb" || !!this.session || !(this.lines.size || problem);
    this.#arrange();
    if (status === this.dataset.status) return;
    this.dataset.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: { status } }));
  }

  /** @param {readonly import("./call-state.js").Message[]} messages */
  showMessages(messages) {
    if (this.getAttribute("transcript") === "off") return;
    const log = this.part_("transcript");
    const list = this.find(".said ul");
    const welcome = this.getAttribute("welcome");
    const shown =
      welcome && !messages.length && this.mode !== "orb"
        ? [{ id: "welcome", role: /** @type {const} */ ("bot"), text: welcome }]
        : messages;
    const kept = new Set();
    for (const message of shown) {
      const { id, role, text } = message;
      kept.add(id);
      let line = this.lines.get(id);
      if (line && this.#drawn.get(line) === message) continue;
      if (!line) {
        this.lines.set(id, (line = document.createElement("li")));
        list.append(line);
      }
      this.#drawn.set(line, message);
      line.className = `${role === "bot" ? "agent" : role}${message.isInterim ? " partial" : ""}`;
      const words = message.interrupted ? `${text} —` : text;
      if (line.textContent === words) continue;
      line.textContent = words;
      log.scrollTop = log.scrollHeight;
    }
    for (const [id, line] of this.lines) {
      if (kept.has(id)) continue;
      line.remove();
      this.lines.delete(id);
    }
    log.hidden = !shown.length;
  }

  /** Drop what was said in a call that is over. */
  #clear() {
    this.#problem = "";
    this.show(IDLE);
  }

  /** Put what stands beside the orb where the window has room for it. */
  #arrange() {
    const float = this.find(".float");
    float.hidden = [...float.children].every((child) => /** @type {HTMLElement} */ (child).hidden);
    if (this.mode !== "orb" || float.hidden) return;
    const { top, bottom, left, width } = this.getBoundingClientRect();
    float.dataset.side = top > innerHeight - bottom ? "above" : "below";
    const half = float.offsetWidth / 2;
    const middle = left + width / 2;
    const room = document.documentElement.clientWidth;
    const inside = Math.min(Math.max(middle, half + 8), Math.max(half + 8, room - half - 8));
    float.style.setProperty("--shift", `${inside - middle}px`);
  }

  /** Show or hide the choice of devices. */
  async #devices() {
    const box = this.part_("devices");
    const { session } = this;
    if (!(session instanceof VoiceSession)) return;
    box.hidden = !box.hidden;
    this.find(".choose").setAttribute("aria-expanded", String(!box.hidden));
    if (box.hidden) return;
    const offer = (
      /** @type {string} */ name,
      /** @type {MediaDeviceInfo[]} */ found,
      /** @type {(id: string) => Promise<void>} */ use,
    ) => {
      const select = /** @type {HTMLSelectElement} */ (this.find(`select.${name}`));
      select.replaceChildren(...found.map((d, i) => new Option(d.label || `${this.text(name)} ${i + 1}`, d.deviceId)));
      /** @type {HTMLElement} */ (select.parentElement).hidden = !found.length;
      select.onchange = () => use(select.value).catch((error) => console.warn(error));
    };
    offer("microphone", await session.microphones(), (id) => session.setMicrophone(id));
    offer("loudspeaker", await session.speakers(), (id) => session.setSpeaker(id));
    const log = this.part_("transcript"); // which has less room now
    log.scrollTop = log.scrollHeight;
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

/** A token from the site's own backend: as text, or in JSON. @param {string} address */
async function tokenFrom(address) {
  const response = await fetch(address, { method: "POST", credentials: "include" });
  if (!response.ok)
    throw new CallError("no_token", `${address} answered ${response.status} instead of giving a token.`);
  const text = (await response.text()).trim();
  return text.startsWith("{") || text.startsWith('"') ? JSON.parse(text) : text;
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
