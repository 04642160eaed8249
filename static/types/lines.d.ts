/** @template T @param {Promise<T>} promise @param {number} ms @param {Error} error @returns {Promise<T>} */
export function within<T>(promise: Promise<T>, ms: number, error: Error): Promise<T>;
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */
/** WebRTC did not come about, and something else may. */
export class NoWebRtc extends Error {
}
/** A peer connection and its data channel. `restart` mends it while the server still has its end. */
export class WebRtcLine {
    /** @param {VoiceSession} session */
    constructor(session: VoiceSession);
    kind: string;
    isOpen: boolean;
    /** @type {number | undefined} */
    pinging: number | undefined;
    /** @type {RTCRtpSender | null} */
    sender: RTCRtpSender | null;
    /** Found before the server could take them. @type {RTCIceCandidate[]} */
    found: RTCIceCandidate[];
    /** Whether an offer or a restart is under way: candidates wait until it was answered. */
    negotiating: boolean;
    location: string;
    /** Names what the server last agreed to. */
    etag: string;
    answer: string;
    session: import("./voice-session.js").VoiceSession;
    pc: RTCPeerConnection;
    channel: RTCDataChannel;
    /** @throws {NoWebRtc} @throws {CallError} */
    open(): Promise<void>;
    signal(): Promise<void>;
    onState(): void;
    negotiated(): void;
    /** Candidates that were found after the offer had left (RFC 8840). */
    trickle(): Promise<void>;
    /** @param {string} body @param {string} match the agreement that it belongs to, or `*` for a new one */
    patch(body: string, match: string): Promise<Response>;
    /** Connect anew under the same call: other addresses, other credentials (RFC 9725, section 4.3). @throws {CallError} @throws {NoWebRtc} */
    restart(): Promise<void>;
    /** The server's new credentials and candidates, for ours. @returns {Promise<string>} @throws {CallError} @throws {NoWebRtc} */
    renegotiate(): Promise<string>;
    /** @param {RTCPeerConnectionState} state */
    reached(state: RTCPeerConnectionState): Promise<any>;
    /** Candidates are mostly local: gathering takes milliseconds. What is found later goes after the offer. */
    gathered(): Promise<any>;
    /** @param {MediaStream} microphone */
    listen(microphone: MediaStream): Promise<void>;
    /** @param {string} text */
    send(text: string): void;
    /** Sound is played as it comes; the server has stopped it. */
    silence(): void;
    close(): void;
}
/** A WebSocket with sound both ways, for where WebRTC cannot connect. */
export class SocketLine {
    /** @param {VoiceSession} session */
    constructor(session: VoiceSession);
    kind: string;
    /** @type {WebSocket | null} */
    socket: WebSocket | null;
    /** @type {AudioWorkletNode | null} */
    playback: AudioWorkletNode | null;
    /** @type {AudioWorkletNode | null} */
    capture: AudioWorkletNode | null;
    /** @type {MediaStreamAudioSourceNode | null} */
    source: MediaStreamAudioSourceNode | null;
    isOpen: boolean;
    session: import("./voice-session.js").VoiceSession;
    audio: AudioContext;
    /** @throws {CallError} */
    open(): Promise<void>;
    /** A socket that is gone is gone. @throws {NoWebRtc} */
    restart(): Promise<void>;
    /** @param {string} text */
    send(text: string): void;
    /** @param {MediaStream} microphone */
    listen(microphone: MediaStream): Promise<void>;
    /** What was sent ahead is not to be heard any more. */
    silence(): void;
    close(): void;
}
export type VoiceSession = import("./voice-session.js").VoiceSession;
