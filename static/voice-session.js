/**
 * One call to the server: the microphone, the agent's voice, and messages both ways. Over WebRTC, or by itself over a
 * WebSocket where WebRTC cannot connect; a connection that is lost is mended, or followed by another one.
 * @module
 */

import { CallError, ENDINGS, FAILURES, openMicrophone, refusal } from "./call-error.js";
import { IDLE, after } from "./call-state.js";
import { Level } from "./levels.js";
import { NoWebRtc, SocketLine, WebRtcLine } from "./lines.js";
import { OWN_SERVER } from "./own-server.js";

export { CallError } from "./call-error.js";

/** @typedef {import("./call-state.js").CallState} CallState */
/** @typedef {string | {token: string, server?: string}} Token */

const LOST = "The connection to the server was lost.";
/** Before each try to connect again, and how long a try goes on while the server cannot be reached. */
const WAITS_MS = [0, 1000, 3000];
const JITTER = 0.2;
const TRY_MS = 4000;
const AGAIN_MS = 400;
/** The last sounds are still on their way to the server when the button to talk is released. */
const TAIL_MS = 300;
/** Of the server, after which there is nothing to connect to. */
const FINAL = ["unknown_session"];

/**
 * @typedef {object} Options
 * @property {string} [agent] who is called; may be left out with a token that says it
 * @property {string} [server] where it is not the page's own: `https://box.example`
 * @property {(channel: string) => Promise<Token>} [tokenProvider] gets a token from your backend; where there is none, the page's origin is tried
 * @property {Record<string, unknown>} [metadata] comes back in `call.started`
 * @property {Record<string, string | number | boolean>} [variables] fill `{{name}}` in prompt and greeting
 * @property {Record<string, (args: any) => unknown>} [tools] that run in the page, by their names: what they return goes to the model, what they throw too
 * @property {MediaTrackConstraints} [microphone] how the microphone is opened
 * @property {HTMLAudioElement | null} [audio] plays the agent's voice; one of its own where none is given, none for null
 * @property {"auto" | "webrtc" | "websocket"} [transport]
 * @property {RTCIceServer[]} [iceServers] for callers behind another network; none on a LAN
 * @property {boolean} [listenLater] connect without a microphone; `openMicrophone` brings it
 */

/**
 * Events, beside all that the server sends under their own types (`user.transcript`, …; the message is `detail`):
 * `event` (every message), `raw` (as it came), `change` (the state), `status`, `phase`, `message` (one of the state's),
 * `streams` ({microphone, voice}), `transport` ({kind}), `reconnecting` ({attempt, of, gives_up_s}), `reconnected` ({kind}), `ended`
 * ({reason, message?, failed}).
 */
export class VoiceSession extends EventTarget {
  callId = "";
  sessionId = "";
  over = false;
  iceServers = /** @type {RTCIceServer[]} */ ([]);
  /** @type {MediaStream | null} */
  microphone = null;
  /** @type {MediaStream | null} */
  voice = null;
  /** @type {WebRtcLine | SocketLine | null} */
  line = null;
  /** @type {CallState} */
  #state = IDLE;
  #received = 0;
  #recovering = false;
  #speaker = "";
  /** Whether the server's own protocol is spoken, and not another one that a token is for. */
  #native = false;
  #leaving = false;
  #held = false;
  #startedAt = 0;
  #transferredTo = "";
  /** @type {number | undefined} */
  #ticking = undefined;
  /** @type {AudioContext | null} */
  #audio = null;
  /** @type {Map<MediaStream, Level>} */
  #levels = new Map();

  agent = "";
  server = "";
  wanted = "auto";
  listenLater = false;
  /** @type {MediaTrackConstraints} */
  constraints = {};
  /** @type {Options["tokenProvider"]} */
  tokenProvider = undefined;
  /** @type {NonNullable<Options["metadata"]>} */
  metadata = {};
  /** @type {NonNullable<Options["variables"]>} */
  variables = {};
  /** @type {NonNullable<Options["tools"]>} */
  tools = {};

  /** @param {Options} [options] */
  constructor(options = {}) {
    super();
    this.updateOptions(options);
    this.audio = options.audio === undefined ? new Audio() : options.audio;
  }

  /** For what comes next; a call under way stays as it is. @param {Options} options */
  updateOptions(options) {
    const {
      agent = "",
      server = "",
      tokenProvider,
      metadata = {},
      variables = {},
      tools = {},
      microphone = {},
    } = options;
    this.agent = agent;
    this.server = server;
    this.tokenProvider = tokenProvider;
    this.metadata = metadata;
    this.variables = variables;
    this.tools = tools;
    this.constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...microphone };
    this.wanted = options.transport ?? "auto";
    this.iceServers = options.iceServers ?? [];
    this.listenLater = options.listenLater ?? false;
  }

  // -- state

  /** The same object until something changes. */
  getState() {
    return this.#state;
  }

  /** @param {() => void} told at each change @returns {() => void} ends it */
  subscribe(told) {
    this.addEventListener("change", told);
    return () => this.removeEventListener("change", told);
  }

  /** @param {Partial<CallState>} change */
  #set(change) {
    const before = this.#state;
    if (Object.entries(change).every(([key, value]) => before[/** @type {keyof CallState} */ (key)] === value)) return;
    const now = (this.#state = Object.freeze({ ...before, ...change }));
    if (now.status !== before.status) this.dispatch("status", now.status);
    if (now.phase !== before.phase) this.dispatch("phase", now.phase);
    if (now.messages !== before.messages) {
      for (const message of now.messages) if (!before.messages.includes(message)) this.dispatch("message", message);
    }
    this.dispatch("change", now);
  }

  // -- connecting

  /** Ask for the microphone and call; from a click, so that the browser plays the answer. @throws {CallError} */
  async connect() {
    if (this.#state.status !== "idle" && this.#state.status !== "error") return;
    this.over = false;
    addEventListener("pagehide", this.#leave);
    this.sessionId = this.callId = this.#transferredTo = "";
    this.#received = 0;
    this.#native = this.#held = false;
    this.#set({ ...IDLE, status: "connecting", isMuted: this.#state.isMuted });
    try {
      if (!this.listenLater) this.#take(await openMicrophone(this.constraints));
      if (this.over) return this.#release();
      await this.#openLine();
      this.#startedAt = performance.now();
      this.#ticking = setInterval(
        () => this.#set({ duration: Math.floor((performance.now() - this.#startedAt) / 1000) }),
        1000,
      );
      this.#set({ status: "connected" });
    } catch (error) {
      const wasOver = this.over;
      this.#release();
      if (wasOver) return;
      const { code = "no_connection", message = String(error) } = /** @type {Partial<CallError>} */ (error);
      this.#set({ status: "error", phase: "idle", error: { code, message } });
      throw error;
    }
  }

  /** WebRTC, or else a WebSocket; in a session that exists already the call goes on. @throws {CallError} */
  async #openLine() {
    const none = new CallError(
      "no_connection",
      "The audio connection could not be set up. A firewall may be blocking UDP between this browser and the server.",
    );
    try {
      if (this.wanted === "websocket" || typeof RTCPeerConnection === "undefined") throw new NoWebRtc();
      await this.#open(new WebRtcLine(this));
    } catch (error) {
      if (!(error instanceof NoWebRtc) || this.over) throw error;
      if (this.wanted === "webrtc") throw none;
      await this.#open(new SocketLine(this));
    }
  }

  /** @param {WebRtcLine | SocketLine} line */
  async #open(line) {
    this.line?.close();
    this.line = line;
    await line.open();
    if (this.over) return line.close();
    this.#set({ transport: line.kind });
    this.dispatch("transport", { kind: line.kind });
  }

  /** A line lost the server; for lines. @param {WebRtcLine | SocketLine} line */
  lost(line) {
    if (line === this.line && !this.over && !this.#recovering) void this.#recover();
  }

  async #recover() {
    this.#recovering = true;
    this.#set({ status: "reconnecting" });
    let problem = LOST;
    for (const [i, wait] of WAITS_MS.entries()) {
      const left = WAITS_MS.slice(i).reduce((sum, ms) => sum + ms + TRY_MS, 0);
      this.dispatch("reconnecting", { attempt: i + 1, of: WAITS_MS.length, gives_up_s: Math.round(left / 1000) });
      await sleep(wait * (1 + JITTER * (2 * Math.random() - 1)));
      if (this.over) break;
      try {
        await this.#tryFor(TRY_MS, i === 0);
        if (this.over) break;
        this.#recovering = false;
        this.#set({ status: "connected" });
        this.dispatch("reconnected", { kind: this.line?.kind });
        return;
      } catch (error) {
        if (error instanceof CallError && FINAL.includes(error.code)) break;
        if (error instanceof CallError && error.code !== "no_server") problem = error.message;
      }
    }
    this.#recovering = false;
    this.end("connection_lost", problem);
  }

  /** One try: as long as the server cannot be reached at all it goes on. @param {number} ms @param {boolean} mend whether the old line may be mended */
  async #tryFor(ms, mend) {
    for (const until = performance.now() + ms; ; await sleep(AGAIN_MS)) {
      try {
        if (mend && this.line?.kind === "webrtc") return await this.line.restart();
        return await this.#openLine();
      } catch (error) {
        if (mend && error instanceof NoWebRtc) mend = false;
        else if (
          !(error instanceof CallError && UNREACHABLE.includes(error.code)) ||
          performance.now() > until ||
          this.over
        )
          throw error;
      }
    }
  }

  /** A token for one attempt. @returns {Promise<string>} @throws {CallError} */
  async token() {
    if (this.tokenProvider) {
      const given = await this.tokenProvider("webrtc");
      if (typeof given === "string") return given;
      if (given.server && !this.server) this.server = given.server.replace(/^ws/, "http").replace(/\/$/, "");
      return given.token;
    }
    const { response, body } = await this.#ask("/webrtc/token", { agent_id: this.agent });
    if (!response.ok) throw refusal(body);
    return body.token;
  }

  /** The answer to an offer, and where candidates go; for lines. @param {string} sdp @throws {CallError} */
  async offer(sdp) {
    const { agent, metadata, variables } = this;
    const goesOn = { continues: this.sessionId, received: this.#received };
    const offer = {
      sdp,
      type: "offer",
      ...(this.sessionId ? goesOn : { ...(agent && { agent }), metadata, variables }),
    };
    let token = this.tokenProvider && !this.sessionId ? await this.token() : undefined;
    let { response, body } = await this.#ask("/v1/sessions", offer, token);
    if (!token && response.status === 401 && body?.error?.code === "key_missing") {
      // the server has keys: the agent may allow this page's origin
      token = await this.token();
      ({ response, body } = await this.#ask("/v1/sessions", offer, token));
    }
    if (!response.ok) throw refusal(body);
    this.callId = body.call_id;
    this.sessionId = body.session_id;
    // it is relative to the request's address, which a proxy may have put a path before
    return {
      body,
      location: new URL(response.headers.get("Location") ?? "", response.url).href,
      etag: response.headers.get("ETag") ?? "",
    };
  }

  /** What a WebSocket begins with; for lines. @returns {Promise<Record<string, string>>} @throws {CallError} */
  async introduction() {
    const { agent, metadata, variables } = this;
    if (this.sessionId) return { session: this.sessionId, received: String(this.#received) };
    return {
      ...(agent && { agent }),
      token: await this.token(),
      metadata: JSON.stringify(metadata),
      variables: JSON.stringify(variables),
    };
  }

  /** @param {string} path @param {object} body @param {string} [token] */
  async #ask(path, body, token) {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    try {
      const response = await fetch((this.server || OWN_SERVER) + path, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      return { response, body: await response.json().catch(() => null) };
    } catch {
      throw new CallError("no_server", "The server does not answer. Is it still running?");
    }
  }

  // -- messages

  /** Send a message to the server. @param {{type: string, [field: string]: unknown}} message */
  send(message) {
    this.sendRaw(JSON.stringify(message));
  }

  /** Send what another protocol than the server's own wants. @param {string} text */
  sendRaw(text) {
    this.line?.send(text);
  }

  /** Type instead of speaking. @param {string} text */
  sendText(text) {
    this.send({ type: "text.send", text });
  }

  /** Something that the model is to know from the next turn on; null forgets it. @param {string} key @param {string | null} value */
  setContext(key, value) {
    this.send({ type: "context.set", key, value });
  }

  /** How turns are taken: `turns`, `min_pause_ms`, `max_pause_ms`, `completeness`; `language` and `voice` where the agent lets pages choose. @param {Record<string, unknown>} settings */
  configure(settings) {
    this.send({ type: "session.update", ...settings });
  }

  /** Push to talk: while it is held the caller is heard and the agent is silent; letting it go ends the turn. @param {boolean} down */
  hold(down) {
    if (this.#held === down) return;
    this.#held = down;
    if (down) {
      this.send({ type: "agent.interrupt" });
      this.setMuted(false, false);
      return;
    }
    setTimeout(() => {
      if (this.#held || this.over) return;
      this.setMuted(true, false);
      this.endTurn();
    }, TAIL_MS);
  }

  /** The caller is done: what was said is answered now, whatever the silence (push to talk). */
  endTurn() {
    this.send({ type: "turn.end" });
  }

  /** Drop a tool's call from the state, when it has been looked at. @param {string} id */
  dismissTool(id) {
    this.#set({ toolCalls: this.#state.toolCalls.filter((c) => c.toolCallId !== id) });
  }

  /** What came from the server; for lines. @param {string} text */
  receive(text) {
    const message = JSON.parse(text);
    if (message.type === "session.opened") {
      this.sessionId = message.session_id;
      this.callId = message.call_id;
    } else {
      this.#received += 1;
    }
    this.dispatch("raw", text);
    this.dispatch("event", message);
    if (message.type === "agent.speech_stopped" && message.reason === "interrupted") this.line?.silence();
    if (message.type === "tool.called" && message.runs_at === "client") void this.#runTool(message);
    this.#set(after(this.#state, message));
    if (message.type) this.dispatch(message.type, message);
    if (message.type === "call.started") this.#native = true;
    if (message.type === "call.forwarded") this.#transferredTo = message.agent ? "" : message.to;
    if (message.type !== "call.ended") return;
    if (message.reason in FAILURES) this.end(message.reason, FAILURES[message.reason]);
    else
      this.end(
        message.reason ?? "",
        this.#transferredTo ? `Transferred to ${this.#transferredTo}.` : ENDINGS[message.reason],
        false,
      );
  }

  /** @param {{id: string, name: string, arguments: object}} call */
  async #runTool({ id, name, arguments: args }) {
    const tool = this.tools[name];
    if (!tool) return; // the page answers by itself
    try {
      this.send({ type: "tool.result", id, result: (await tool(args)) ?? null });
    } catch (error) {
      this.send({ type: "tool.result", id, error: error instanceof Error ? error.message : String(error) });
    }
  }

  // -- sound

  /** Begin to listen in a call that was connected without, or go on with another microphone. @param {MediaTrackConstraints} [constraints] @throws {CallError} */
  async openMicrophone(constraints = {}) {
    const before = this.microphone;
    const stream = await openMicrophone({ ...this.constraints, ...constraints });
    this.#take(stream);
    for (const track of before?.getTracks() ?? []) track.stop();
    if (before) this.#forgetLevel(before);
    if (this.over) return this.#release();
    await this.line?.listen(stream);
  }

  /** @param {MediaStream} stream */
  #take(stream) {
    this.microphone = stream;
    this.#applyMute();
    this.#set({ microphoneLost: false });
    for (const track of stream.getAudioTracks()) track.onended = () => void this.#reopen(stream);
  }

  /** Its device was unplugged, or the browser has taken it away: another one, now or once one is plugged in. @param {MediaStream} lost */
  async #reopen(lost) {
    if (this.microphone !== lost || this.over) return;
    try {
      await this.openMicrophone({ deviceId: undefined });
    } catch {
      this.#set({ microphoneLost: true });
      navigator.mediaDevices.addEventListener("devicechange", () => void this.#reopen(lost), { once: true });
    }
  }

  /** @param {string} deviceId of `microphones()` @throws {CallError} */
  async setMicrophone(deviceId) {
    await this.openMicrophone({ deviceId: { exact: deviceId } });
  }

  /** @param {string} deviceId of `speakers()` @throws {CallError} */
  async setSpeaker(deviceId) {
    this.#speaker = deviceId;
    if (!this.audio || !("setSinkId" in this.audio))
      throw new CallError("no_choice", "This browser plays on the system's own choice only.");
    try {
      await /** @type {any} */ (this.audio).setSinkId(deviceId);
    } catch {
      throw new CallError("no_speaker", "That speaker is not there any more. Choose another one.");
    }
  }

  /** Those there are, with their names once a microphone was allowed. */
  async microphones() {
    return (await devices()).filter((d) => d.kind === "audioinput");
  }

  async speakers() {
    return (await devices()).filter((d) => d.kind === "audiooutput");
  }

  /** @param {boolean} muted @param {boolean} [told] whether the server hears of it */
  setMuted(muted, told = true) {
    this.#set({ isMuted: muted });
    this.#applyMute();
    if (told) this.send({ type: "user.mute", muted });
  }

  toggleMute() {
    this.setMuted(!this.#state.isMuted);
  }

  #applyMute() {
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !this.#state.isMuted;
  }

  /** How loud it is now, 0 to 1; read it at each frame that is drawn. @param {"user" | "agent"} who */
  level(who) {
    return this.#levelOf(who)?.level ?? 0;
  }

  /** The voice's spectrum now, low to high, each band from 0 to 1; for pictures of it. @param {"user" | "agent"} who @param {number} count @returns {number[]} */
  bands(who, count) {
    return this.#levelOf(who)?.bands(count) ?? new Array(count).fill(0);
  }

  /** @param {"user" | "agent"} who */
  #levelOf(who) {
    const stream = who === "user" ? this.microphone : this.voice;
    if (!stream?.getAudioTracks().length || this.over) return null;
    this.#audio ??= new AudioContext();
    let level = this.#levels.get(stream);
    if (!level) this.#levels.set(stream, (level = new Level(stream, this.#audio)));
    return level;
  }

  /** @param {MediaStream} stream */
  #forgetLevel(stream) {
    this.#levels.get(stream)?.stop();
    this.#levels.delete(stream);
  }

  /** The agent's voice came; for lines. @param {WebRtcLine | SocketLine} line @param {MediaStream} voice */
  hear(line, voice) {
    if (line !== this.line) return;
    if (this.voice) this.#forgetLevel(this.voice);
    this.voice = voice;
    if (this.audio) {
      this.audio.srcObject = voice;
      void this.startAudio();
    }
    this.dispatch("streams", { microphone: this.microphone, voice });
  }

  /** Play what the browser refused to play before a click; it is tried again at the next click by itself. */
  async startAudio() {
    try {
      if (this.#speaker) await this.setSpeaker(this.#speaker);
      await this.audio?.play();
      this.#set({ playbackBlocked: false });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotAllowedError")) return;
      this.#set({ playbackBlocked: true });
      for (const type of ["pointerdown", "keydown"])
        addEventListener(type, () => this.#state.playbackBlocked && this.startAudio(), { once: true });
    }
  }

  // -- the end

  /** End the call from this side. */
  disconnect() {
    this.end("client_hangup");
  }

  /** The same, under the name that others have for it. */
  destroy() {
    this.disconnect();
  }

  #leave = () => {
    this.#leaving = true;
    this.disconnect();
    this.#leaving = false; // the page may come back, from the browser's memory of it
  };

  /** @param {string} reason @param {string} [message] @param {boolean} [failed] whether something was wrong, rather than over */
  end(reason, message, failed = !!message) {
    const wasCalled = this.#state.status !== "idle" && this.#state.status !== "error";
    if (this.over || !wasCalled) return;
    if (reason === "client_hangup") this.#hangUp();
    this.#release();
    const error = message && failed ? { code: reason, message } : null;
    const ending = message && !failed ? { reason, message } : null;
    this.#set({
      status: "idle",
      phase: "idle",
      userSpeaking: false,
      agentSpeaking: false,
      idleWarning: null,
      personInCall: false,
      playbackBlocked: false,
      microphoneLost: false,
      ending,
      error,
    });
    this.dispatch("ended", { reason, message, failed });
  }

  /**
   * Over the line where there is one: a request could come after the session's end, and fail. In another protocol than
   * the server's own it is the line's end that hangs up.
   */
  #hangUp() {
    const { line } = this;
    // what a data channel still has to send goes with the page that leaves
    const isLost = line instanceof WebRtcLine && (this.#leaving || line.pc.connectionState !== "connected");
    if (this.#state.status === "connected" && !isLost) {
      if (this.#native) this.send({ type: "call.end" });
    } else if (this.sessionId) {
      const session = `${this.server || OWN_SERVER}/v1/sessions/${this.sessionId}`;
      fetch(session, { method: "DELETE", keepalive: true }).catch(() => {});
    }
  }

  #release() {
    this.over = true;
    removeEventListener("pagehide", this.#leave);
    clearInterval(this.#ticking);
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    this.line?.close();
    for (const level of this.#levels.values()) level.stop();
    this.#levels.clear();
    void this.#audio?.close().catch(() => {});
    this.#audio = this.microphone = this.voice = this.line = null;
    if (this.audio) this.audio.srcObject = null;
  }

  /** @param {string} type @param {unknown} detail */
  dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Of a server that may come back. */
const UNREACHABLE = ["no_server", "no_connection"];

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function devices() {
  return (await navigator.mediaDevices?.enumerateDevices()) ?? [];
}
