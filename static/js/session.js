/**
 * One call to the server over WebRTC: signalling, the microphone, the agent's voice and the events channel.
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

const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["microphone_refused", "The microphone was refused. Allow it for this page in the browser's address bar, then call again."],
  NotFoundError: ["no_microphone", "No microphone was found. Plug one in and call again."],
  NotReadableError: ["microphone_busy", "The microphone cannot be opened; another program may be using it."],
};
const CONNECT_TIMEOUT_MS = 15000;
const PING_MS = 5000;

/**
 * Events, beside all that the server sends under their own types (`user.transcript`, …; the message is `detail`):
 * `server-event` (every message), `streams` ({microphone, voice}), `ended` ({reason, message?}).
 */
export class VoiceSession extends EventTarget {
  /** @param {{agent: string, base?: string}} options */
  constructor({ agent, base = "" }) {
    super();
    this.agent = agent;
    this.base = base;
    this.callId = "";
    /** @type {RTCPeerConnection | null} */
    this.pc = null;
    /** @type {RTCDataChannel | null} */
    this.channel = null;
    /** @type {MediaStream | null} */
    this.microphone = null;
    this.location = "";
    this.over = false;
    /** @type {number | undefined} */
    this.pinging = undefined;
  }

  /** Ask for the microphone and call. @throws {CallError} */
  async connect() {
    try {
      this.microphone = await openMicrophone();
      if (this.over) return this.release();
      const pc = (this.pc = new RTCPeerConnection({ iceServers: [] }));
      for (const track of this.microphone.getTracks()) pc.addTrack(track, this.microphone);
      pc.addEventListener("track", (e) => this.dispatch("streams", { microphone: this.microphone, voice: e.streams[0] ?? new MediaStream([e.track]) }));
      pc.addEventListener("connectionstatechange", () => {
        if (pc.connectionState === "failed") this.end("connection_lost", "The connection to the server was lost.");
      });
      const channel = (this.channel = pc.createDataChannel("events"));
      const open = new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
      channel.addEventListener("message", (e) => this.receive(JSON.parse(e.data)));
      channel.addEventListener("close", () => this.end("connection_lost", "The server closed the connection."));
      await pc.setLocalDescription();
      await gathered(pc);
      await this.signal(pc);
      await withTimeout(open, CONNECT_TIMEOUT_MS, new CallError("no_connection", "No media connection came about. A firewall may be blocking UDP between this browser and the server."));
      this.pinging = setInterval(() => this.send({ type: "ping" }), PING_MS);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** @param {RTCPeerConnection} pc */
  async signal(pc) {
    const offer = { agent: this.agent, sdp: pc.localDescription?.sdp, type: "offer" };
    let { response, body } = await this.ask("/v1/sessions", offer);
    if (response.status === 401 && body?.error?.code === "key_missing") {
      // the server has keys: the agent may allow this page's origin
      const { response: answer, body: granted } = await this.ask("/webrtc/token", { agent_id: this.agent });
      if (!answer.ok) throw refusal(granted);
      ({ response, body } = await this.ask("/v1/sessions", offer, granted.token));
    }
    if (!response.ok) throw refusal(body);
    this.callId = body.call_id;
    this.location = response.headers.get("Location") ?? "";
    await pc.setRemoteDescription({ type: "answer", sdp: body.sdp });
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

  /** Send a message of the events channel. @param {{type: string, [field: string]: unknown}} message */
  send(message) {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  /** @param {boolean} muted */
  mute(muted) {
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !muted;
    this.send({ type: "user.mute", muted });
  }

  /** End the call from this side. */
  hangUp() {
    this.send({ type: "call.end" });
    this.end("client_hangup");
  }

  /** @param {{type: string, reason?: string}} message */
  receive(message) {
    this.dispatch("server-event", message);
    this.dispatch(message.type, message);
    if (message.type === "call.ended") {
      const reason = message.reason ?? "";
      this.end(reason, ENDINGS[/** @type {keyof typeof ENDINGS} */ (reason)]);
    }
  }

  /** @param {string} reason @param {string} [message] */
  end(reason, message) {
    if (this.over) return;
    // the server hears of it also when the channel never opened
    if (this.location && reason === "client_hangup") fetch(this.base + this.location, { method: "DELETE", keepalive: true }).catch(() => {});
    this.release();
    this.dispatch("ended", { reason, message });
  }

  release() {
    this.over = true;
    clearInterval(this.pinging);
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    // what was sent last still has to leave
    const pc = this.pc;
    setTimeout(() => pc?.close(), 200);
  }

  /** @param {string} type @param {unknown} detail */
  dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {any} body */
function refusal(body) {
  return new CallError(body?.error?.code ?? "bad_answer", body?.error?.message ?? "The server gave an answer that makes no sense.");
}

const ENDINGS = {
  forwarded: "You are handed over to somebody else.",
  server_shutdown: "The server was stopped.",
  idle_timeout: "The server heard nothing any more and hung up.",
  internal_error: "The server made a mistake and had to hang up.",
};

async function openMicrophone() {
  if (!navigator.mediaDevices) {
    throw new CallError("insecure_page", "Browsers give a microphone to secure pages only: open this page as http://localhost or over HTTPS.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
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
  return Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1000))]);
}

/** @template T @param {Promise<T>} promise @param {number} ms @param {Error} error @returns {Promise<T>} */
function withTimeout(promise, ms, error) {
  return Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(error), ms))]);
}
