/** What a call goes over: a peer connection with its data channel, or a WebSocket with sound both ways. @module */

import { CallError, refusal } from "./call-error.js";
import { OWN_SERVER } from "./own-server.js";

/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** WebRTC did not come about, and something else may. */
export class NoWebRtc extends Error {}

const CONNECT_TIMEOUT_MS = 15000;
const WEBRTC_TIMEOUT_MS = 6000;
const RESTART_TIMEOUT_MS = 4000;
const GATHERING_MS = 1000;
const GRACE_MS = 1000;
const PING_MS = 5000;
const HIGHEST_RATE = 48000;
const FRAGMENT = "application/trickle-ice-sdpfrag";

/** A peer connection and its data channel. `restart` mends it while the server still has its end. */
export class WebRtcLine {
  kind = "webrtc";
  isOpen = false;
  /** @type {number | undefined} */
  pinging = undefined;
  /** @type {RTCRtpSender | null} */
  sender = null;
  /** Found before the server could take them. @type {RTCIceCandidate[]} */
  found = [];
  /** Whether an offer or a restart is under way: candidates wait until it was answered. */
  negotiating = true;
  location = "";
  /** Names what the server last agreed to. */
  etag = "";
  answer = "";

  /** @param {VoiceSession} session */
  constructor(session) {
    this.session = session;
    this.pc = new RTCPeerConnection({ iceServers: session.iceServers });
    this.channel = this.pc.createDataChannel("events");
  }

  /** @throws {NoWebRtc} @throws {CallError} */
  async open() {
    const { session, pc, channel } = this;
    const { microphone } = session;
    this.sender = pc.addTransceiver(microphone?.getAudioTracks()[0] ?? "audio", {
      streams: microphone ? [microphone] : [],
    }).sender;
    pc.addEventListener("track", (e) => session.hear(this, e.streams[0] ?? new MediaStream([e.track])));
    const opened = new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
    channel.addEventListener("message", (e) => session.receive(e.data));
    channel.addEventListener("close", () => this.isOpen && session.lost(this));
    await pc.setLocalDescription();
    await this.gathered();
    // a machine without a network, or a policy against it, has none to offer
    if (!/^a=candidate:/m.test(pc.localDescription?.sdp ?? "")) throw new NoWebRtc();
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate?.candidate) return;
      this.found.push(candidate);
      if (!this.negotiating) void this.trickle();
    });
    await this.signal();
    await within(
      Promise.race([opened, this.reached("failed").then(() => Promise.reject(new NoWebRtc()))]),
      WEBRTC_TIMEOUT_MS,
      new NoWebRtc(),
    );
    this.isOpen = true;
    this.pinging = setInterval(() => session.send({ type: "ping" }), PING_MS);
    pc.addEventListener("connectionstatechange", () => this.onState());
  }

  async signal() {
    const { session, pc } = this;
    const { body, location, etag } = await session.offer(pc.localDescription?.sdp ?? "");
    Object.assign(this, { location, etag, answer: body.sdp });
    await pc.setRemoteDescription({ type: "answer", sdp: body.sdp });
    this.negotiated();
  }

  onState() {
    const { pc } = this;
    if (pc.connectionState === "failed") this.session.lost(this);
    if (pc.connectionState !== "disconnected") return;
    // often it comes back by itself
    setTimeout(() => this.isOpen && pc.connectionState === "disconnected" && this.session.lost(this), GRACE_MS);
  }

  negotiated() {
    this.negotiating = false;
    if (this.found.length) void this.trickle();
  }

  /** Candidates that were found after the offer had left (RFC 8840). */
  async trickle() {
    const lines = this.found.splice(0).map((c) => `a=${c.candidate}`);
    const credentials = pick(this.pc.localDescription?.sdp ?? "", /^a=ice-(ufrag|pwd):/);
    const body = [...credentials, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", ...lines, ""].join("\r\n");
    // one that is late costs nothing: others lead there too
    await this.patch(body, this.etag).catch(() => {});
  }

  /** @param {string} body @param {string} match the agreement that it belongs to, or `*` for a new one */
  patch(body, match) {
    const headers = { "Content-Type": FRAGMENT, "If-Match": match || "*" };
    return fetch(this.location, { method: "PATCH", headers, body });
  }

  /** Connect anew under the same call: other addresses, other credentials (RFC 9725, section 4.3). @throws {CallError} @throws {NoWebRtc} */
  async restart() {
    const { pc } = this;
    if (this.channel.readyState !== "open" || pc.signalingState !== "stable") throw new NoWebRtc();
    this.negotiating = true;
    this.found.length = 0;
    await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
    try {
      const text = await this.renegotiate();
      await pc.setRemoteDescription({ type: "answer", sdp: withFragment(this.answer, text) });
    } catch (error) {
      await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
      throw error;
    } finally {
      this.negotiated();
    }
    await within(this.reached("connected"), RESTART_TIMEOUT_MS, new NoWebRtc());
  }

  /** The server's new credentials and candidates, for ours. @returns {Promise<string>} @throws {CallError} @throws {NoWebRtc} */
  async renegotiate() {
    // candidates follow when they are found
    const mine = pick(this.pc.localDescription?.sdp ?? "", /^a=(ice-ufrag|ice-pwd|candidate|mid):|^m=/);
    const late = new CallError("no_server", "The server does not answer. Is it still running?");
    const response = await within(this.patch([...new Set(mine), ""].join("\r\n"), "*"), RESTART_TIMEOUT_MS, late).catch(
      () => {
        throw late;
      },
    );
    const text = await response.text();
    if (response.status !== 200) throw response.status === 409 ? new NoWebRtc() : refusal(parsed(text));
    this.etag = response.headers.get("ETag") ?? "";
    return text;
  }

  /** @param {RTCPeerConnectionState} state */
  reached(state) {
    const { pc } = this;
    return new Promise((resolve) => {
      const check = () => pc.connectionState === state && resolve(undefined);
      pc.addEventListener("connectionstatechange", check);
      check();
    });
  }

  /** Candidates are mostly local: gathering takes milliseconds. What is found later goes after the offer. */
  gathered() {
    const { pc } = this;
    const done = new Promise((resolve) => {
      const check = () => pc.iceGatheringState === "complete" && resolve(undefined);
      pc.addEventListener("icegatheringstatechange", check);
      check();
    });
    return Promise.race([done, new Promise((resolve) => setTimeout(resolve, GATHERING_MS))]);
  }

  /** @param {MediaStream} microphone */
  async listen(microphone) {
    await this.sender?.replaceTrack(microphone.getAudioTracks()[0]);
  }

  /** @param {string} text */
  send(text) {
    if (this.channel.readyState === "open") this.channel.send(text);
  }

  /** Sound is played as it comes; the server has stopped it. */
  silence() {}

  close() {
    this.isOpen = false;
    clearInterval(this.pinging);
    // what was sent last still has to leave
    setTimeout(() => this.pc.close(), 200);
  }
}

/** A WebSocket with sound both ways, for where WebRTC cannot connect. */
export class SocketLine {
  kind = "websocket";
  /** @type {WebSocket | null} */
  socket = null;
  /** @type {AudioWorkletNode | null} */
  playback = null;
  /** @type {AudioWorkletNode | null} */
  capture = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  source = null;
  isOpen = false;

  /** @param {VoiceSession} session */
  constructor(session) {
    this.session = session;
    this.audio = new AudioContext();
  }

  /** @throws {CallError} */
  async open() {
    const { session, audio } = this;
    const { microphone } = session;
    if (audio.sampleRate > HIGHEST_RATE)
      throw new CallError("no_connection", "This sound card's rate is too high for a call without WebRTC.");
    void audio.resume();
    await audio.audioWorklet.addModule(new URL("./pcm-worklet.js", import.meta.url));
    const rate = String(audio.sampleRate);
    const query = new URLSearchParams({ ...(await session.introduction()), sample_rate: rate, voice_rate: rate });
    const address = new URL(`${session.server || OWN_SERVER}/v1/voice?${query}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(address));
    socket.binaryType = "arraybuffer";
    await within(
      new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve, { once: true });
        socket.addEventListener(
          "error",
          () => reject(new CallError("no_connection", "The server refused the connection, or cannot be reached.")),
          { once: true },
        );
      }),
      CONNECT_TIMEOUT_MS,
      new CallError("no_connection", "The server does not answer."),
    );
    this.isOpen = true;
    const playback = (this.playback = new AudioWorkletNode(audio, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    }));
    playback.port.onmessage = ({ data }) => {
      // with a token alone it may be another protocol that is spoken, which has its own word for it or none
      if (session.agent) session.send({ type: "playback.ack", buffered_s: data });
    };
    const voice = audio.createMediaStreamDestination();
    playback.connect(voice);
    const capture = (this.capture = new AudioWorkletNode(audio, "capture", { outputChannelCount: [1] }));
    capture.connect(audio.destination); // silent; what leads nowhere is not run
    capture.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
    if (microphone) await this.listen(microphone);
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") session.receive(data);
      else playback.port.postMessage(data, [data]);
    });
    socket.addEventListener("close", () => this.isOpen && session.lost(this));
    session.hear(this, voice.stream);
  }

  /** A socket that is gone is gone. @throws {NoWebRtc} */
  async restart() {
    throw new NoWebRtc();
  }

  /** @param {string} text */
  send(text) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /** @param {MediaStream} microphone */
  async listen(microphone) {
    this.source?.disconnect();
    if (!this.capture) return;
    this.source = this.audio.createMediaStreamSource(microphone);
    this.source.connect(this.capture);
  }

  /** What was sent ahead is not to be heard any more. */
  silence() {
    this.playback?.port.postMessage("clear");
  }

  close() {
    this.isOpen = false;
    this.socket?.close();
    void this.audio.close().catch(() => {});
  }
}

/** @param {string} sdp @param {RegExp} wanted */
const pick = (sdp, wanted) => sdp.split(/\r?\n/).filter((line) => wanted.test(line));

/** An answer with other credentials and candidates. @param {string} answer @param {string} fragment */
function withFragment(answer, fragment) {
  const [username] = pick(fragment, /^a=ice-ufrag:/);
  const [password] = pick(fragment, /^a=ice-pwd:/);
  const candidates = pick(fragment, /^a=(candidate:|end-of-candidates)/);
  return pick(answer, /^(?!a=(candidate:|end-of-candidates)).+/)
    .flatMap((line) => {
      if (line.startsWith("a=ice-ufrag:")) return [...candidates, username];
      return line.startsWith("a=ice-pwd:") ? password : line;
    })
    .concat("")
    .join("\r\n");
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @template T @param {Promise<T>} promise @param {number} ms @param {Error} error @returns {Promise<T>} */
export function within(promise, ms, error) {
  /** @type {number | undefined} */
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(error), ms)));
  return Promise.race([promise, /** @type {Promise<never>} */ (late)]).finally(() => clearTimeout(timer));
}
