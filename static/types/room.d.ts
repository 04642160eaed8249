/**
 * As a type it is one of those strings.
 */
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
export namespace ConnectionState {
    let Disconnected: "disconnected";
    let Connecting: "connecting";
    let Connected: "connected";
    let Reconnecting: "reconnecting";
    let SignalReconnecting: "signalReconnecting";
}
export namespace RoomEvent {
    let Connected_1: "connected";
    export { Connected_1 as Connected };
    let Reconnecting_1: "reconnecting";
    export { Reconnecting_1 as Reconnecting };
    let SignalReconnecting_1: "signalReconnecting";
    export { SignalReconnecting_1 as SignalReconnecting };
    export let Reconnected: "reconnected";
    let Disconnected_1: "disconnected";
    export { Disconnected_1 as Disconnected };
    export let ConnectionStateChanged: "connectionStateChanged";
    export let TrackSubscribed: "trackSubscribed";
    export let TrackUnsubscribed: "trackUnsubscribed";
    export let DataReceived: "dataReceived";
    export let ParticipantConnected: "participantConnected";
    export let ParticipantDisconnected: "participantDisconnected";
    export let ActiveSpeakersChanged: "activeSpeakersChanged";
    export let ConnectionQualityChanged: "connectionQualityChanged";
    export let MediaDevicesError: "mediaDevicesError";
    export let AudioPlaybackStatusChanged: "audioPlaybackChanged";
    export let TranscriptionReceived: "transcriptionReceived";
    export let AudioLevel: "audioLevel";
}
export namespace DisconnectReason {
    let CONNECTION_LOST: "connection_lost";
    let SERVER_SHUTDOWN: "server_shutdown";
    let AGENT_HANGUP: "agent_hangup";
    let MAX_DURATION: "max_duration";
    let IDLE_TIMEOUT: "idle_timeout";
    let JOIN_FAILURE: "join_failure";
}
export namespace Track {
    namespace Kind {
        let Audio: "audio";
        let Video: "video";
    }
}
/**
 * One call. `connect` with what the token's server answered.
 * @extends {Emitter<RoomEvents>}
 */
export class Room extends Emitter<RoomEvents> {
    /** @param {{audioCaptureDefaults?: MediaTrackConstraints}} [options] */
    constructor(options?: {
        audioCaptureDefaults?: MediaTrackConstraints;
    });
    options: {
        audioCaptureDefaults?: MediaTrackConstraints;
    };
    name: string;
    metadata: string;
    /** @type {ConnectionState} */
    state: ConnectionState;
    canPlaybackAudio: boolean;
    localParticipant: LocalParticipant;
    /** @type {RemoteParticipant} */
    agent: RemoteParticipant;
    /** @type {Map<string, RemoteParticipant>} */
    remoteParticipants: Map<string, RemoteParticipant>;
    /** @type {VoiceSession | null} */
    session: VoiceSession | null;
    /** @type {RemoteAudioTrack | null} */
    track: RemoteAudioTrack | null;
    said: string;
    /** @type {number | undefined} */
    measuring: number | undefined;
    /** @param {string} url @param {string} token */
    connect(url: string, token: string): Promise<void>;
    /** Harmless when called twice. */
    disconnect(): Promise<void>;
    /** Have sound play that the browser refused to play before a click. */
    startAudio(): Promise<void>;
    /** @param {HTMLMediaElement} element */
    play(element: HTMLMediaElement): Promise<void>;
    /** @param {boolean} can */
    playable(can: boolean): void;
    /** @param {ConnectionState} state */
    enter(state: ConnectionState): void;
    /** Never `disconnected` on the way: pages take that for the end. @param {ConnectionState} state @param {string} event */
    reconnect(state: ConnectionState, event: string): void;
    /** @param {string} text */
    receive(text: string): void;
    /** @param {MediaStream} voice */
    subscribe(voice: MediaStream): void;
    /** @param {RemoteAudioTrack} track */
    measure(track: RemoteAudioTrack): void;
    /** @param {string} [reason] */
    leave(reason?: string): void;
}
/**
 * What listeners of a room's events are given, by event.
 */
export type RoomEvents = {
    connected: [];
    reconnecting: [];
    signalReconnecting: [];
    reconnected: [];
    /**
     * none where the page itself left
     */
    disconnected: [reason?: string];
    connectionStateChanged: [state: ConnectionState];
    trackSubscribed: [track: RemoteAudioTrack, publication: TrackPublication, participant: RemoteParticipant];
    trackUnsubscribed: [track: RemoteAudioTrack, publication: TrackPublication | undefined, participant: RemoteParticipant];
    dataReceived: [payload: Uint8Array, participant?: RemoteParticipant, kind?: number, topic?: string];
    participantConnected: [participant: RemoteParticipant];
    participantDisconnected: [participant: RemoteParticipant];
    activeSpeakersChanged: [speakers: RemoteParticipant[]];
    mediaDevicesError: [error: Error];
    audioPlaybackChanged: [playing: boolean];
    audioLevel: [level: number];
};
export type ParticipantEvents = {
    isSpeakingChanged: [speaking: boolean];
};
export type RemoteParticipant = Emitter<ParticipantEvents> & {
    identity: string;
    metadata: string;
    isSpeaking: boolean;
};
export type TrackPublication = {
    track: RemoteAudioTrack;
    kind: "audio";
    trackSid: string;
    isSubscribed: boolean;
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
declare class Emitter<Events> {
    /** @type {Map<string, {listener: Function, once: boolean}[]>} */
    listeners: Map<string, {
        listener: Function;
        once: boolean;
    }[]>;
    /**
     * @template {keyof Events & string} K
     * @overload
     * @param {K} event
     * @param {(...args: Events[K] extends unknown[] ? Events[K] : never) => void} listener
     * @returns {this}
     */
    on<K extends keyof Events & string>(event: K, listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void): this;
    /**
     * @overload
     * @param {string} event
     * @param {(...args: any[]) => void} listener
     * @returns {this}
     */
    on(event: string, listener: (...args: any[]) => void): this;
    /**
     * @template {keyof Events & string} K
     * @overload
     * @param {K} event
     * @param {(...args: Events[K] extends unknown[] ? Events[K] : never) => void} listener
     * @returns {this}
     */
    once<K extends keyof Events & string>(event: K, listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void): this;
    /**
     * @overload
     * @param {string} event
     * @param {(...args: any[]) => void} listener
     * @returns {this}
     */
    once(event: string, listener: (...args: any[]) => void): this;
    /** @param {string} event @param {Function} listener */
    off(event: string, listener: Function): this;
    /** @param {string} event @param {unknown[]} args */
    emit(event: string, ...args: unknown[]): void;
}
/** @extends {Emitter<ParticipantEvents>} */
declare class LocalParticipant extends Emitter<ParticipantEvents> {
    /** @param {Room} room */
    constructor(room: Room);
    identity: string;
    isMicrophoneEnabled: boolean;
    room: Room;
    /** @param {boolean} on @param {MediaTrackConstraints} [options] */
    setMicrophoneEnabled(on: boolean, options?: MediaTrackConstraints): Promise<void>;
    /** There is no picture. @param {boolean} _on */
    setCameraEnabled(_on: boolean): Promise<void>;
    /** @param {Uint8Array | string} data @param {object} [_options] */
    publishData(data: Uint8Array | string, _options?: object): Promise<void>;
}
import { VoiceSession } from "./voice-session.js";
/** The agent's voice. */
declare class RemoteAudioTrack {
    /** @param {Room} room @param {MediaStream} stream */
    constructor(room: Room, stream: MediaStream);
    kind: "audio";
    sid: string;
    volume: number;
    /** @type {HTMLMediaElement[]} */
    attachedElements: HTMLMediaElement[];
    /** @type {MediaStreamTrack} */
    mediaStreamTrack: MediaStreamTrack;
    room: Room;
    mediaStream: MediaStream;
    /** @param {HTMLMediaElement} [element] @returns {HTMLMediaElement} one that plays */
    attach(element?: HTMLMediaElement): HTMLMediaElement;
    /** The connection is another one, the track stays. @param {MediaStream} stream */
    goOn(stream: MediaStream): void;
    /** @param {HTMLMediaElement} [element] */
    detach(element?: HTMLMediaElement): HTMLMediaElement | HTMLMediaElement[];
}
export {};
