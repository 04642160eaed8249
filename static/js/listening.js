/**
 * Listening in on a call: both sides, as the server mixes them. With a token for more than that somebody has the agent
 * say something, or takes the call over in their own voice.
 * @module
 */

import { openMicrophone } from "../call-error.js";

const HIGHEST_RATE = 48_000;
const WORKLET = new URL("../pcm-worklet.js", import.meta.url);

/**
 * @typedef {object} ListeningState
 * @property {"connecting" | "listening" | "speaking" | "over" | "refused"} state
 * @property {string} scope what the token is for beyond listening; empty for nothing
 * @property {string} problem
 */

/** One connection to a call. `close` it. */
export class Listening {
  /** @type {ListeningState} */
  now = { state: "connecting", scope: "", problem: "" };
  /** @type {WebSocket} */
  #socket;
  /** @type {AudioContext | undefined} */
  #audio;
  /** What is open while this page's microphone is heard. @type {{audio: AudioContext, stream: MediaStream} | null} */
  #speaking = null;
  #changed;

  /** @param {string} address of the WebSocket, with its token @param {(now: ListeningState) => void} changed */
  constructor(address, changed) {
    this.#changed = changed;
    const socket = (this.#socket = new WebSocket(address));
    socket.binaryType = "arraybuffer";
    /** @type {AudioWorkletNode | undefined} */
    let playback;
    socket.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        const message = JSON.parse(data);
        if (message.type === "error") return this.#set({ problem: message.message });
        const audio = (this.#audio = new AudioContext({ sampleRate: message.sampleRate }));
        await audio.audioWorklet.addModule(WORKLET);
        playback = new AudioWorkletNode(audio, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
        playback.connect(audio.destination);
        this.#set({ state: "listening", scope: message.scope ?? "" });
      } else if (data.byteLength > 2) {
        playback?.port.postMessage(data, [data]);
      }
    };
    socket.onclose = ({ wasClean }) => {
      const heard = Boolean(this.#audio);
      void this.#audio?.close();
      this.#stopSpeaking();
      const problem = !heard
        ? "There is no such call, or the token was used: ask for a new one."
        : wasClean
          ? ""
          : "The connection to the server was lost.";
      this.#set({ state: problem ? "refused" : "over", scope: "", problem });
    };
  }

  close() {
    this.#stopSpeaking();
    this.#socket.onclose = null;
    this.#socket.close();
    void this.#audio?.close();
  }

  /** Have the agent say this. @param {string} text */
  say(text) {
    this.#send({ action: "say", text });
  }

  /** Silence the agent and speak to the caller with this page's microphone. */
  async takeOver() {
    let stream;
    try {
      stream = await openMicrophone({ echoCancellation: true, noiseSuppression: true });
    } catch (error) {
      return this.#set({ problem: error instanceof Error ? error.message : String(error) });
    }
    let audio = new AudioContext();
    if (audio.sampleRate > HIGHEST_RATE) {
      void audio.close();
      audio = new AudioContext({ sampleRate: HIGHEST_RATE });
    }
    this.#speaking = { audio, stream };
    await audio.audioWorklet.addModule(WORKLET);
    const capture = new AudioWorkletNode(audio, "capture", { outputChannelCount: [1] });
    audio.createMediaStreamSource(stream).connect(capture);
    capture.connect(audio.destination); // silent; what leads nowhere is not run
    this.#send({ action: "pause", sample_rate: audio.sampleRate });
    capture.port.onmessage = ({ data }) =>
      this.#speaking && this.#socket.readyState === WebSocket.OPEN && this.#socket.send(data);
    this.#set({ state: "speaking", problem: "" });
  }

  giveBack() {
    this.#stopSpeaking();
    this.#send({ action: "resume" });
    this.#set({ state: "listening", problem: "" });
  }

  #stopSpeaking() {
    for (const track of this.#speaking?.stream.getTracks() ?? []) track.stop();
    void this.#speaking?.audio.close();
    this.#speaking = null;
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {Partial<ListeningState>} changes */
  #set(changes) {
    this.now = { ...this.now, ...changes };
    this.#changed(this.now);
  }
}
