/** The sheet behind the gear: devices and their test, taking turns, the agent of the next call, colours. @module */

import { openMicrophone } from "../call-error.js";
import { Level } from "../levels.js";
import { $, remember, remembered } from "./page.js";
import * as server from "./server.js";

/** @typedef {import("../voice-session.js").VoiceSession} VoiceSession */
/** @typedef {import("./server.js").Card} Card */

const EDITED = /** @type {const} */ (["prompt", "greeting", "voice", "language", "temperature"]);
const TONE_HZ = [523, 659, 784];
const TONE_S = 0.18;

export class Settings {
  /** @type {VoiceSession | null} */
  #session = null;
  /** @type {Record<string, unknown> | null} what the agent's own settings are, where the visitor may see them */
  #own = null;
  #mayEdit = false;
  #agent = "";
  /** @type {(() => void) | null} ends the microphone's test */
  #endTest = null;

  /** @param {{onPushToTalk: () => void, onTheme: () => void, onSignedOut: () => void}} react */
  constructor(react) {
    this.react = react;
    this.sheet = /** @type {HTMLDialogElement} */ ($("settings"));
    $("open-settings").addEventListener("click", () => this.open());
    $("close-settings").addEventListener("click", () => this.sheet.close());
    this.sheet.addEventListener("click", (e) => e.target === this.sheet && this.sheet.close());
    this.sheet.addEventListener("close", () => this.#endTest?.());
    this.#choice("microphone", (id) => this.#session?.setMicrophone(id));
    this.#choice("speaker", (id) => this.#session?.setSpeaker(id));
    $("test-microphone").addEventListener("click", () => (this.#endTest ? this.#endTest() : void this.#test()));
    $("test-speaker").addEventListener("click", () => void this.#play());
    this.push.checked = remembered("push to talk") === "on";
    this.push.addEventListener("change", () => {
      remember("push to talk", this.push.checked ? "on" : "");
      react.onPushToTalk();
    });
    this.turns.addEventListener("change", () => this.#session?.configure(this.live()));
    $("reset").addEventListener("click", () => this.#fill());
    this.temperature.addEventListener("input", () => this.#showTemperature());
    const theme = /** @type {HTMLSelectElement} */ ($("theme"));
    theme.value = remembered("theme");
    const paint = () => {
      document.documentElement.dataset.theme = theme.value;
      remember("theme", theme.value);
      react.onTheme();
    };
    theme.addEventListener("change", paint);
    paint();
    $("sign-out").addEventListener("click", async () => {
      await server.signOut().catch(() => {});
      this.sheet.close();
      react.onSignedOut();
    });
  }

  get push() {
    return /** @type {HTMLInputElement} */ ($("push-to-talk"));
  }

  get turns() {
    return /** @type {HTMLSelectElement} */ ($("turns"));
  }

  get temperature() {
    return /** @type {HTMLInputElement} */ ($("temperature"));
  }

  open() {
    this.sheet.showModal();
    void this.devices();
    if (this.#mayEdit && !this.#own) void this.#load();
  }

  /** The call that is under way, or none. @param {VoiceSession | null} session */
  follow(session) {
    this.#session = session;
    if (session) this.#endTest?.();
  }

  /** What the microphone is opened with. @returns {MediaTrackConstraints} */
  get microphone() {
    const id = remembered("microphone");
    return id ? { deviceId: { ideal: id } } : {};
  }

  /** The chosen loudspeaker for a call that has just begun. @param {VoiceSession} session */
  async useSpeaker(session) {
    const id = remembered("speaker");
    if (id) await session.setSpeaker(id).catch(() => remember("speaker", "")); // it is not there any more
  }

  /** @param {Card} card @param {server.Playground} all */
  offer(card, { voices, may_edit, signed_in }) {
    this.#agent = card.name;
    this.#mayEdit = may_edit;
    this.#own = null;
    $("edits").hidden = !may_edit;
    $("account").hidden = !signed_in;
    $("signed-in").textContent = signed_in;
    const select = /** @type {HTMLSelectElement} */ ($("voice-name"));
    select.replaceChildren(new Option("the usual one", ""), ...voices.map((name) => new Option(name, name)));
    if (this.sheet.open && may_edit) void this.#load();
  }

  /** What a call can be told while it goes on. @returns {Record<string, unknown>} */
  live() {
    if (this.push.checked) return { turns: "manual" };
    return this.turns.value ? { turns: this.turns.value } : {};
  }

  /** What was changed of the agent for the next call. @returns {Record<string, unknown>} */
  changes() {
    if (!this.#own) return {};
    /** @type {Record<string, unknown>} */
    const changes = {};
    for (const name of EDITED) {
      const value = this.#value(name);
      if (value !== (this.#own[name] ?? "")) changes[name] = name === "temperature" ? Number(value) : value;
    }
    if (changes.language === "") delete changes.language;
    return changes;
  }

  /** @param {typeof EDITED[number]} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ ($(name === "voice" ? "voice-name" : name));
  }

  /** @param {typeof EDITED[number]} name */
  #value(name) {
    const { value, dataset } = this.#field(name);
    if (name !== "temperature") return value.trim();
    return dataset.touched ? Number(value) : (this.#own?.temperature ?? "");
  }

  async #load() {
    // what is typed before the agent's own settings are there would be lost
    const allow = (/** @type {boolean} */ on) => {
      for (const name of EDITED) this.#field(name).disabled = !on;
    };
    allow(false);
    try {
      this.#own = await server.settingsOf(this.#agent);
      this.#fill();
      allow(true);
    } catch {
      $("edits").hidden = true; // the key does not reach so far
    }
  }

  #fill() {
    for (const name of EDITED) this.#field(name).value = `${this.#own?.[name] ?? (name === "temperature" ? 0.7 : "")}`;
    delete this.temperature.dataset.touched;
    this.#showTemperature(false);
  }

  #showTemperature(touched = true) {
    if (touched) this.temperature.dataset.touched = "yes";
    const isOwn = !this.temperature.dataset.touched && this.#own?.temperature == null;
    $("temperature-shown").textContent = isOwn ? "the model's" : Number(this.temperature.value).toFixed(1);
  }

  /** @param {"microphone" | "speaker"} id @param {(deviceId: string) => Promise<void> | undefined} use */
  #choice(id, use) {
    const select = /** @type {HTMLSelectElement} */ ($(id));
    select.addEventListener("change", async () => {
      remember(id, select.value);
      try {
        await use(select.value);
        if (id === "microphone" && this.#endTest) {
          this.#endTest();
          await this.#test();
        }
      } catch (error) {
        this.#note(error);
      }
    });
  }

  /** Fill the choices; names are there once a microphone was allowed. */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    for (const [id, kind] of [
      ["microphone", "audioinput"],
      ["speaker", "audiooutput"],
    ]) {
      const select = /** @type {HTMLSelectElement} */ ($(id));
      const found = all.filter((d) => d.kind === kind && d.deviceId);
      const named = found.map(
        (d, i) => new Option(d.label || `${id === "speaker" ? "Loudspeaker" : "Microphone"} ${i + 1}`, d.deviceId),
      );
      select.replaceChildren(...(named.length ? named : [new Option("as the system is set", "")]));
      if (found.some((d) => d.deviceId === remembered(id))) select.value = remembered(id);
    }
    const canChoose = "setSinkId" in HTMLMediaElement.prototype;
    $("speaker-label").hidden = !canChoose;
    this.#note(all.length && !all.some((d) => d.label) ? "Test the microphone to see the names of the devices." : "");
  }

  async #test() {
    const button = $("test-microphone");
    this.#note("");
    try {
      const stream = await openMicrophone({
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        ...this.microphone,
      });
      const audio = new AudioContext();
      const level = new Level(stream, audio);
      let isOver = false;
      this.#endTest = () => {
        isOver = true;
        this.#endTest = null;
        for (const track of stream.getTracks()) track.stop();
        void audio.close();
        button.setAttribute("aria-pressed", "false");
        button.textContent = "Test the microphone";
        $("test-level").style.transform = "scaleX(0)";
      };
      button.setAttribute("aria-pressed", "true");
      button.textContent = "Stop the test";
      let loudest = 0;
      const draw = () => {
        if (isOver) return;
        loudest = Math.max(loudest, level.level);
        $("test-level").style.transform = `scaleX(${level.shown.toFixed(3)})`;
        if (loudest > 0.55) this.#note("The microphone works.");
        requestAnimationFrame(draw);
      };
      await this.devices();
      this.#note("Say something: the bar should move.");
      draw();
    } catch (error) {
      this.#note(error);
    }
  }

  /** Three tones on the chosen loudspeaker. */
  async #play() {
    const audio = new AudioContext();
    const out = audio.createMediaStreamDestination();
    TONE_HZ.forEach((hz, i) => {
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      const at = audio.currentTime + 0.05 + i * TONE_S;
      tone.frequency.value = hz;
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(0.25, at + 0.02);
      gain.gain.linearRampToValueAtTime(0, at + TONE_S);
      tone.connect(gain).connect(out);
      tone.start(at);
      tone.stop(at + TONE_S);
    });
    const player = /** @type {any} */ (new Audio());
    player.srcObject = out.stream;
    try {
      if (player.setSinkId && remembered("speaker")) await player.setSinkId(remembered("speaker"));
      await player.play();
    } catch (error) {
      this.#note(error);
    }
    setTimeout(() => void audio.close(), 1500);
  }

  /** @param {unknown} said */
  #note(said) {
    $("sound-note").textContent = said instanceof Error ? said.message : `${said}`;
  }
}
