/**
 * The part of `livekit-client` that pages of Wespoke and Speechmatics Flow use, over a `VoiceSession`: change the
 * import, and they run against this server.
 * @module
 */

import { CallError, VoiceSession } from "./voice-session.js";

export const ConnectionState = /** @type {const} */ ({
  Disconnected: "disconnected",
  Connecting: "connecting",
  Connected: "connected",
  Reconnecting: "reconnecting",
  SignalReconnecting: "signalReconnecting",
});

/** As a type it is one of those strings. @typedef {(typeof ConnectionState)[keyof typeof ConnectionState]} ConnectionState */

export const RoomEvent = /** @type {const} */ ({
  Connected: "connected",
  Reconnecting: "reconnecting",
  SignalReconnecting: "signalReconnecting",
  Reconnected: "reconnected",
  Disconnected: "disconnected",
  ConnectionStateChanged: "connectionStateChanged",
  TrackSubscribed: "trackSubscribed",
  TrackUnsubscribed: "trackUnsubscribed",
  DataReceived: "dataReceived",
  ParticipantConnected: "participantConnected",
  ParticipantDisconnected: "participantDisconnected",
  ActiveSpeakersChanged: "activeSpeakersChanged",
  ConnectionQualityChanged: "connectionQualityChanged",
  MediaDevicesError: "mediaDevicesError",
  AudioPlaybackStatusChanged: "audioPlaybackChanged",
  TranscriptionReceived: "transcriptionReceived",
  AudioLevel: "audioLevel",
});

/** Why a room was left; strings, and none where the page itself left it. */
export const DisconnectReason = /** @type {const} */ ({
  CONNECTION_LOST: "connection_lost",
  SERVER_SHUTDOWN: "server_shutdown",
  AGENT_HANGUP: "agent_hangup",
  MAX_DURATION: "max_duration",
  IDLE_TIMEOUT: "idle_timeout",
  JOIN_FAILURE: "join_failure",
});

export const Track = { Kind: /** @type {const} */ ({ Audio: "audio", Video: "video" }) };

const LEVEL_MS = 50;
const SPEAKING = 0.25;
/** What our codes are called there. @type {Record<string, string>} */
const CODES = {
  no_server: "CONNECTION_ERROR",
  no_connection: "CONNECTION_ERROR",
  insecure_page: "MICROPHONE_ERROR",
  key_missing: "UNAUTHORIZED",
  token_unknown: "UNAUTHORIZED",
  token_used: "UNAUTHORIZED",
  token_expired: "UNAUTHORIZED",
  too_many_calls: "SERVER_BUSY",
  bad_answer: "UNKNOWN_ERROR",
};

/**
 * What listeners of a room's events are given, by event.
 * @typedef {object} RoomEvents
 * @property {[]} connected
 * @property {[]} reconnecting
 * @property {[]} signalReconnecting
 * @property {[]} reconnected
 * @property {[reason?: string]} disconnected none where the page itself left
 * @property {[state: ConnectionState]} connectionStateChanged
 * @property {[track: RemoteAudioTrack, publication: TrackPublication, participant: RemoteParticipant]} trackSubscribed
 * @property {[track: RemoteAudioTrack, publication: TrackPublication | undefined, participant: RemoteParticipant]} trackUnsubscribed
 * @property {[payload: Uint8Array, participant?: RemoteParticipant, kind?: number, topic?: string]} dataReceived
 * @property {[participant: RemoteParticipant]} participantConnected
 * @property {[participant: RemoteParticipant]} participantDisconnected
 * @property {[speakers: RemoteParticipant[]]} activeSpeakersChanged
 * @property {[error: Error]} mediaDevicesError
 * @property {[playing: boolean]} audioPlaybackChanged
 * @property {[level: number]} audioLevel
 */

/** @typedef {{isSpeakingChanged: [speaking: boolean]}} ParticipantEvents */

/** @typedef {Emitter<ParticipantEvents> & {identity: string, metadata: string, isSpeaking: boolean}} RemoteParticipant */

/** @typedef {{track: RemoteAudioTrack, kind: "audio", trackSid: string, isSubscribed: boolean}} TrackPublication */

/**
 * Listeners by event.
 * @template Events
 */
class Emitter {
  constructor() {
    /** @type {Map<string, {listener: Function, once: boolean}[]>} */
    this.listeners = new Map();
  }

  /**
   * @template {keyof Events & string} K
   * @overload
   * @param {K} event
   * @param {(...args: Events[K] extends unknown[] ? Events[K] : never) => void} listener
   * @returns {this}
   */
  /**
   * @overload
   * @param {string} event
   * @param {(...args: any[]) => void} listener
   * @returns {this}
   */
  /** @param {string} event @param {(...args: any[]) => void} listener */
  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), { listener, once: false }]);
    return this;
  }

  /**
   * @template {keyof Events & string} K
   * @overload
   * @param {K} event
   * @param {(...args: Events[K] extends unknown[] ? Events[K] : never) => void} listener
   * @returns {this}
   */
  /**
   * @overload
   * @param {string} event
   * @param {(...args: any[]) => void} listener
   * @returns {this}
   */
  /** @param {string} event @param {(...args: any[]) => void} listener */
  once(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), { listener, once: true }]);
    return this;
  }

  /** @param {string} event @param {Function} listener */
  off(event, listener) {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((l) => l.listener !== listener),
    );
    return this;
  }

  /** @param {string} event @param {unknown[]} args */
  emit(event, ...args) {
    for (const { listener, once } of this.listeners.get(event) ?? []) {
      if (once) this.off(event, listener);
      try {
        listener(...args);
      } catch (error) {
        console.error(error); // one listener's mistake is not the others'
      }
    }
  }
}

/** The agent's voice. */
class RemoteAudioTrack {
  kind = Track.Kind.Audio;
  sid = "TR_agent";
  volume = 0;
  /** @type {HTMLMediaElement[]} */
  attachedElements = [];
  /** @type {MediaStreamTrack} */
  mediaStreamTrack;

  /** @param {Room} room @param {MediaStream} stream */
  constructor(room, stream) {
    this.room = room;
    this.mediaStream = stream;
    [this.mediaStreamTrack] = stream.getAudioTracks();
  }

  /** @param {HTMLMediaElement} [element] @returns {HTMLMediaElement} one that plays */
  attach(element = document.createElement("audio")) {
    element.autoplay = true;
    element.setAttribute("playsinline", "");
    element.setAttribute("data-call-audio", "");
    element.srcObject = this.mediaStream;
    if (!this.attachedElements.includes(element)) this.attachedElements.push(element);
    void this.room.play(element);
    return element;
  }

  /** The connection is another one, the track stays. @param {MediaStream} stream */
  goOn(stream) {
    this.mediaStream = stream;
    [this.mediaStreamTrack] = stream.getAudioTracks();
    for (const element of this.attachedElements) {
      element.srcObject = stream;
      void this.room.play(element);
    }
  }

  /** @param {HTMLMediaElement} [element] */
  detach(element) {
    const gone = element ? [element] : this.attachedElements;
    for (const each of gone) each.srcObject = null;
    this.attachedElements = this.attachedElements.filter((each) => !gone.includes(each));
    return element ?? gone;
  }
}

/** @extends {Emitter<ParticipantEvents>} */
class LocalParticipant extends Emitter {
  identity = "user";
  isMicrophoneEnabled = false;

  /** @param {Room} room */
  constructor(room) {
    super();
    this.room = room;
  }

  /** @param {boolean} on @param {MediaTrackConstraints} [options] */
  async setMicrophoneEnabled(on, options) {
    const { session } = this.room;
    if (!session) throw new CallError("DISCONNECTED", "Connect first: there is no call.");
    if (on && !session.microphone) {
      try {
        await session.openMicrophone({ ...this.room.options.audioCaptureDefaults, ...options });
      } catch (error) {
        // code looks for the browser's own `NotAllowedError`
        const own = (error instanceof Error && error.cause) || error;
        this.room.emit(RoomEvent.MediaDevicesError, own);
        throw own;
      }
    }
    // the product's server has no word for it
    session.setMuted(!on, false);
    this.isMicrophoneEnabled = on;
  }

  /** There is no picture. @param {boolean} _on */
  async setCameraEnabled(_on) {}

  /** @param {Uint8Array | string} data @param {object} [_options] */
  async publishData(data, _options) {
    this.room.session?.sendRaw(typeof data === "string" ? data : new TextDecoder().decode(data));
  }
}

/**
 * One call. `connect` with what the token's server answered.
 * @extends {Emitter<RoomEvents>}
 */
export class Room extends Emitter {
  /** @param {{audioCaptureDefaults?: MediaTrackConstraints}} [options] */
  constructor(options = {}) {
    super();
    this.options = options;
    this.name = "";
    this.metadata = "";
    /** @type {ConnectionState} */
    this.state = ConnectionState.Disconnected;
    this.canPlaybackAudio = true;
    this.localParticipant = new LocalParticipant(this);
    /** @type {RemoteParticipant} */
    this.agent = Object.assign(new Emitter(), {
      identity: "agent",
      metadata: '{"role": "assistant"}',
      isSpeaking: false,
    });
    /** @type {Map<string, RemoteParticipant>} */
    this.remoteParticipants = new Map();
    /** @type {VoiceSession | null} */
    this.session = null;
    /** @type {RemoteAudioTrack | null} */
    this.track = null;
    this.said = "";
    /** @type {number | undefined} */
    this.measuring = undefined;
  }

  /** @param {string} url @param {string} token */
  async connect(url, token) {
    const session = (this.session = new VoiceSession({
      server: url.replace(/^ws/, "http").replace(/\/$/, ""),
      tokenProvider: async () => token,
      listenLater: true,
      audio: null,
    }));
    /** @param {string} type @param {(detail: any) => void} react */
    const on = (type, react) => session.addEventListener(type, (e) => react(/** @type {CustomEvent} */ (e).detail));
    on("streams", ({ voice }) => this.subscribe(voice));
    on("raw", (text) => this.receive(text));
    on(
      "reconnecting",
      () =>
        this.state === ConnectionState.Connected &&
        this.reconnect(ConnectionState.Reconnecting, RoomEvent.Reconnecting),
    );
    on("reconnected", () => this.reconnect(ConnectionState.Connected, RoomEvent.Reconnected));
    on("ended", ({ reason }) => this.leave(reason === "client_hangup" ? undefined : this.said || reason));
    this.enter(ConnectionState.Connecting);
    try {
      await session.connect();
    } catch (error) {
      this.session = null;
      this.enter(ConnectionState.Disconnected);
      if (error instanceof CallError) error.code = CODES[error.code] ?? error.code;
      throw error;
    }
    this.name = session.callId;
    this.remoteParticipants.set("agent", this.agent);
    this.enter(ConnectionState.Connected);
    this.emit(RoomEvent.Connected);
    this.emit(RoomEvent.ParticipantConnected, this.agent);
  }

  /** Harmless when called twice. */
  async disconnect() {
    this.session?.end("client_hangup");
  }

  /** Have sound play that the browser refused to play before a click. */
  async startAudio() {
    for (const element of this.track?.attachedElements ?? []) await element.play();
    this.playable(true);
  }

  /** @param {HTMLMediaElement} element */
  async play(element) {
    try {
      await element.play();
      this.playable(true);
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.playable(false);
    }
  }

  /** @param {boolean} can */
  playable(can) {
    if (can === this.canPlaybackAudio) return;
    this.canPlaybackAudio = can;
    this.emit(RoomEvent.AudioPlaybackStatusChanged, can);
  }

  /** @param {ConnectionState} state */
  enter(state) {
    this.state = state;
    this.emit(RoomEvent.ConnectionStateChanged, state);
  }

  /** Never `disconnected` on the way: pages take that for the end. @param {ConnectionState} state @param {string} event */
  reconnect(state, event) {
    this.enter(state);
    this.emit(event);
  }

  /** @param {string} text */
  receive(text) {
    const message = JSON.parse(text);
    // the connection ends after these, and the page wants to know why
    if (message.type === "call_ending") this.said = message.reason;
    if (message.message === "ConversationEnding") this.said = DisconnectReason.AGENT_HANGUP;
    // the server has ended it already: nothing is left to hang up when the page leaves
    if (message.message === "ConversationEnded" && this.session) this.session.sessionId = "";
    this.emit(RoomEvent.DataReceived, new TextEncoder().encode(text), this.agent, 0, undefined);
  }

  /** @param {MediaStream} voice */
  subscribe(voice) {
    if (this.track) return this.track.goOn(voice);
    const track = (this.track = new RemoteAudioTrack(this, voice));
    const publication = { track, kind: track.kind, trackSid: track.sid, isSubscribed: true };
    this.measure(track);
    // as with LiveKit, whoever listens is told when the connection stands
    const tell = () => this.emit(RoomEvent.TrackSubscribed, track, publication, this.agent);
    if (this.state === ConnectionState.Connected) tell();
    else this.once(RoomEvent.Connected, tell);
  }

  /** @param {RemoteAudioTrack} track */
  measure(track) {
    this.measuring = setInterval(() => {
      track.volume = this.session?.level("agent") ?? 0;
      const speaking = track.volume > SPEAKING;
      if (speaking !== this.agent.isSpeaking) {
        this.agent.isSpeaking = speaking;
        this.agent.emit("isSpeakingChanged", speaking);
        this.emit(RoomEvent.ActiveSpeakersChanged, speaking ? [this.agent] : []);
      }
      this.emit(RoomEvent.AudioLevel, track.volume);
    }, LEVEL_MS);
  }

  /** @param {string} [reason] */
  leave(reason) {
    if (this.state === ConnectionState.Disconnected) return;
    this.session = null;
    this.localParticipant.isMicrophoneEnabled = false;
    clearInterval(this.measuring);
    if (this.track) this.emit(RoomEvent.TrackUnsubscribed, this.track, undefined, this.agent);
    this.track = null;
    if (this.remoteParticipants.delete("agent")) this.emit(RoomEvent.ParticipantDisconnected, this.agent);
    this.enter(ConnectionState.Disconnected);
    this.emit(RoomEvent.Disconnected, reason);
  }
}
