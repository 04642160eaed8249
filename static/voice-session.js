/**
 * One call to the server: the microphone, the agent's voice, and messages both ways. Over WebRTC, or by itself over a
 * WebSocket where WebRTC cannot connect.
 * @module
 */

/** What a person reads when something cannot be; `code` is for programs. */
export class CallError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** WebRTC did not come about, and something else may. */
class NoWebRtc extends Error {}

const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["microphone_refused", "The microphone was refused. Allow it for this page in the browser's address bar, then call again."],
  NotFoundError: ["no_microphone", "No microphone was found. Plug one in and call again."],
  NotReadableError: ["microphone_busy", "The microphone cannot be opened; another program may be using it."],
};
const ENDINGS = {
  forwarded: "You are handed over to somebody else.",
  server_shutdown: "The server was stopped.",
  idle_timeout: "The server heard nothing any more and hung up.",
  internal_error: "The server made a mistake and had to hang up.",
  max_duration: "The call was as long as it may be.",
  silence: "Nobody said anything, so the agent hung up.",
};
const CONNECT_TIMEOUT_MS = 15000;
const WEBRTC_TIMEOUT_MS = 6000;
const GATHERING_MS = 1000;
const PING_MS = 5000;
const HIGHEST_RATE = 48000;

/**
 * @typedef {object} Options
 * @property {string} [agent] who is called; may be left out with a token that says it
 * @property {string} [base] the server, where it is not the page's own: `https://box.example`
 * @property {() => Promise<string>} [tokenProvider] gives a token for each attempt; where there is none, the page's origin is tried
 * @property {Record<string, unknown>} [metadata] comes back in `call.started`
 * @property {Record<string, string | number | boolean>} [variables] fill `{{name}}` in prompt and greeting
 * @property {MediaTrackConstraints} [microphone] how the microphone is opened
 * @property {"auto" | "webrtc" | "websocket"} [transport]
 * @property {boolean} [listenLater] connect without a microphone; `openMicrophone` brings it
 */

/**
 * Events, beside all that the server sends under their own types (`user.transcript`, …; the message is `detail`):
 * `server-event` (every message), `raw` (as it came), `transport` ({kind}), `streams` ({microphone, voice}), `ended` ({reason, message?}).
 */
export class VoiceSession extends EventTarget {
  /** @param {Options} options */
  constructor({ agent = "", base = "", tokenProvider, metadata = {}, variables = {}, microphone = {}, transport = "auto", listenLater = false }) {
    super();
    this.agent = agent;
    this.base = base;
    this.tokenProvider = tokenProvider;
    this.metadata = metadata;
    this.variables = variables;
    this.constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...microphone };
    this.wanted = transport;
    this.listenLater = listenLater;
    this.callId = "";
    /** @type {MediaStream | null} */
    this.microphone = null;
    /** @type {WebRtc | Socket | null} */
    this.line = null;
    this.over = false;
  }

  /** Ask for the microphone and call. @throws {CallError} */
  async connect() {
    try {
      if (!this.listenLater) this.microphone = await openMicrophone(this.constraints);
      if (this.over) return this.release();
      try {
        if (this.wanted === "websocket") throw new NoWebRtc();
        await this.open(new WebRtc(this));
      } catch (error) {
        if (!(error instanceof NoWebRtc) || this.wanted === "webrtc" || this.over) throw error;
        this.line?.close();
        await this.open(new Socket(this));
      }
    } catch (error) {
      this.release();
      if (error instanceof NoWebRtc) throw new CallError("no_connection", "No media connection came about. A firewall may be blocking UDP between this browser and the server.");
      throw error;
    }
  }

  /** @param {WebRtc | Socket} line */
  async open(line) {
    this.line = line;
    await line.open();
    this.dispatch("transport", { kind: line.kind });
  }

  /** Begin to listen in a call that was connected without. @param {MediaTrackConstraints} [constraints] @throws {DOMException} */
  async openMicrophone(constraints = {}) {
    this.microphone = await navigator.mediaDevices.getUserMedia({ audio: { ...this.constraints, ...constraints } });
    if (this.over) return this.release();
    this.line?.listen(this.microphone);
  }

  /** A token for one attempt. @returns {Promise<string>} @throws {CallError} */
  async token() {
    if (this.tokenProvider) return this.tokenProvider();
    const { response, body } = await this.ask("/webrtc/token", { agent_id: this.agent });
    if (!response.ok) throw refusal(body);
    return body.token;
  }

  /** @param {string} path @param {object} body @param {string} [token] */
  async ask(path, body, token) {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    try {
      const response = await fetch(this.base + path, { method: "POST", headers, body: JSON.stringify(body) });
      return { response, body: await response.json().catch(() => null) };
    } catch {
      throw new CallError("no_server", "The server does not answer. Is it still running?");
    }
  }

  /** Send a message to the server. @param {{type: string, [field: string]: unknown}} message */
  send(message) {
    this.sendRaw(JSON.stringify(message));
  }

  /** Send what another protocol than the server's own wants. @param {string} text */
  sendRaw(text) {
    this.line?.send(text);
  }

  /** Here alone, without a word to the server. @param {boolean} muted */
  muteMicrophone(muted) {
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muteMicrophone(muted);
    this.send({ type: "user.mute", muted });
  }

  /** End the call from this side. */
  hangUp() {
    this.send({ type: "call.end" });
    this.end("client_hangup");
  }

  /** @param {string} text */
  receive(text) {
    this.dispatch("raw", text);
    const message = JSON.parse(text);
    this.dispatch("server-event", message);
    if (message.type === "session.opened") this.callId = message.call_id;
    if (message.type === "agent.speech_stopped" && message.reason === "interrupted") this.line?.silence();
    if (message.type) this.dispatch(message.type, message);
    if (message.type === "call.ended") {
      const reason = message.reason ?? "";
      this.end(reason, ENDINGS[/** @type {keyof typeof ENDINGS} */ (reason)]);
    }
  }

  /** @param {string} reason @param {string} [message] */
  end(reason, message) {
    if (this.over) return;
    // the server hears of it also when the channel never opened
    if (reason === "client_hangup") this.line?.abandon();
    this.release();
    this.dispatch("ended", { reason, message });
  }

  release() {
    this.over = true;
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    this.line?.close();
  }

  /** @param {string} type @param {unknown} detail */
  dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A peer connection and its data channel. */
class WebRtc {
  kind = "webrtc";
  location = "";
  open_ = false;
  /** @type {number | undefined} */
  pinging = undefined;
  /** @type {RTCRtpSender | null} */
  sender = null;

  /** @param {VoiceSession} session */
  constructor(session) {
    this.session = session;
    this.pc = new RTCPeerConnection({ iceServers: [] });
    this.channel = this.pc.createDataChannel("events");
  }

  async open() {
    const { session, pc, channel } = this;
    const { microphone } = session;
    this.sender = pc.addTransceiver(microphone?.getAudioTracks()[0] ?? "audio", { streams: microphone ? [microphone] : [] }).sender;
    pc.addEventListener("track", (e) => session.dispatch("streams", { microphone, voice: e.streams[0] ?? new MediaStream([e.track]) }));
    const failed = new Promise((_, reject) => {
      pc.addEventListener("connectionstatechange", () => {
        if (pc.connectionState !== "failed") return;
        reject(new NoWebRtc());
        if (this.open_) session.end("connection_lost", "The connection to the server was lost.");
      });
      setTimeout(() => reject(new NoWebRtc()), WEBRTC_TIMEOUT_MS + GATHERING_MS);
    });
    failed.catch(() => {});
    const opened = new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
    channel.addEventListener("message", (e) => session.receive(e.data));
    channel.addEventListener("close", () => {
      if (this.open_) session.end("connection_lost", "The server closed the connection.");
    });
    await pc.setLocalDescription();
    await gathered(pc);
    // a machine without a network, or a policy against it, has none to offer
    if (!/^a=candidate:/m.test(pc.localDescription?.sdp ?? "")) throw new NoWebRtc();
    await this.signal();
    await Promise.race([opened, failed]);
    this.open_ = true;
    this.pinging = setInterval(() => session.send({ type: "ping" }), PING_MS);
  }

  /** @param {MediaStream} microphone */
  listen(microphone) {
    void this.sender?.replaceTrack(microphone.getAudioTracks()[0]);
  }

  async signal() {
    const { session, pc } = this;
    const { agent, metadata, variables } = session;
    const offer = { ...(agent && { agent }), sdp: pc.localDescription?.sdp, type: "offer", metadata, variables };
    let token = session.tokenProvider ? await session.token() : undefined;
    let { response, body } = await session.ask("/v1/sessions", offer, token);
    if (!token && response.status === 401 && body?.error?.code === "key_missing") {
      // the server has keys: the agent may allow this page's origin
      token = await session.token();
      ({ response, body } = await session.ask("/v1/sessions", offer, token));
    }
    if (!response.ok) throw refusal(body);
    session.callId = body.call_id;
    this.location = response.headers.get("Location") ?? "";
    await pc.setRemoteDescription({ type: "answer", sdp: body.sdp });
  }

  /** @param {string} text */
  send(text) {
    if (this.channel.readyState === "open") this.channel.send(text);
  }

  /** Sound is played as it comes; the server has stopped it. */
  silence() {}

  /** Tell the server that nobody comes any more. */
  abandon() {
    if (this.location) fetch(this.session.base + this.location, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  close() {
    if (!this.open_) this.abandon();
    this.open_ = false;
    clearInterval(this.pinging);
    // what was sent last still has to leave
    setTimeout(() => this.pc.close(), 200);
  }
}

/** A WebSocket with sound both ways. */
class Socket {
  kind = "websocket";
  /** @type {WebSocket | null} */
  socket = null;
  /** @type {AudioContext | null} */
  audio = null;
  /** @type {AudioWorkletNode | null} */
  playback = null;
  /** @type {AudioWorkletNode | null} */
  capture = null;

  /** @param {VoiceSession} session */
  constructor(session) {
    this.session = session;
  }

  async open() {
    const { session } = this;
    const { microphone } = session;
    const audio = (this.audio = new AudioContext());
    if (audio.sampleRate > HIGHEST_RATE) throw new CallError("no_connection", "This sound card's rate is too high for a call without WebRTC.");
    void audio.resume();
    await audio.audioWorklet.addModule(new URL("./pcm-worklet.js", import.meta.url));
    const query = new URLSearchParams({
      ...(session.agent && { agent: session.agent }), token: await session.token(), metadata: JSON.stringify(session.metadata),
      variables: JSON.stringify(session.variables), sample_rate: String(audio.sampleRate), voice_rate: String(audio.sampleRate),
    });
    const address = new URL(`${session.base}/v1/voice?${query}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(address));
    socket.binaryType = "arraybuffer";
    await withTimeout(
      new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve, { once: true });
        socket.addEventListener("error", () => reject(new CallError("no_connection", "The server refused the connection, or cannot be reached.")), { once: true });
      }),
      CONNECT_TIMEOUT_MS,
      new CallError("no_connection", "The server does not answer."),
    );
    const playback = (this.playback = new AudioWorkletNode(audio, "playback", { numberOfInputs: 0, outputChannelCount: [1] }));
    playback.port.onmessage = ({ data }) => {
      // with a token alone it may be another protocol that is spoken, which has its own word for it or none
      if (session.agent) session.send({ type: "playback.ack", buffered_s: data });
    };
    const voice = audio.createMediaStreamDestination();
    playback.connect(voice);
    const capture = (this.capture = new AudioWorkletNode(audio, "capture", { outputChannelCount: [1] }));
    capture.connect(audio.destination); // silent; what leads nowhere is not run
    capture.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
    if (microphone) this.listen(microphone);
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") session.receive(data);
      else playback.port.postMessage(data, [data]);
    });
    socket.addEventListener("close", () => session.end("connection_lost", "The connection to the server was lost."));
    session.dispatch("streams", { microphone, voice: voice.stream });
  }

  /** @param {string} text */
  send(text) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /** @param {MediaStream} microphone */
  listen(microphone) {
    if (this.audio && this.capture) this.audio.createMediaStreamSource(microphone).connect(this.capture);
  }

  /** What was sent ahead is not to be heard any more. */
  silence() {
    this.playback?.port.postMessage("clear");
  }

  abandon() {}

  close() {
    this.socket?.close();
    void this.audio?.close().catch(() => {});
  }
}

/** @param {any} body */
function refusal(body) {
  return new CallError(body?.error?.code ?? "bad_answer", body?.error?.message ?? "The server gave an answer that makes no sense.");
}

/** @param {MediaTrackConstraints} constraints */
async function openMicrophone(constraints) {
  if (!navigator.mediaDevices) {
    throw new CallError("insecure_page", "Browsers give a microphone to secure pages only: open this page as http://localhost or over HTTPS.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    const [code, message] = MICROPHONE_PROBLEMS[/** @type {keyof typeof MICROPHONE_PROBLEMS} */ (name)] ?? ["microphone_failed", `The microphone cannot be used (${name || error}).`];
    throw new CallError(code, message);
  }
}

/** Candidates are all local: gathering takes milliseconds. @param {RTCPeerConnection} pc */
function gathered(pc) {
  const done = new Promise((resolve) => {
    const check = () => pc.iceGatheringState === "complete" && resolve(undefined);
    pc.addEventListener("icegatheringstatechange", check);
    check();
  });
  return Promise.race([done, new Promise((resolve) => setTimeout(resolve, GATHERING_MS))]);
}

/** @template T @param {Promise<T>} promise @param {number} ms @param {Error} error @returns {Promise<T>} */
function withTimeout(promise, ms, error) {
  return Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(error), ms))]);
}
