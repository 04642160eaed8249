export { CallError } from "./call-error.js";
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
    /** @param {Options} [options] */
    constructor(options?: Options);
    callId: string;
    sessionId: string;
    over: boolean;
    iceServers: RTCIceServer[];
    /** @type {MediaStream | null} */
    microphone: MediaStream | null;
    /** @type {MediaStream | null} */
    voice: MediaStream | null;
    /** @type {WebRtcLine | SocketLine | null} */
    line: WebRtcLine | SocketLine | null;
    agent: string;
    server: string;
    wanted: string;
    listenLater: boolean;
    /** @type {MediaTrackConstraints} */
    constraints: MediaTrackConstraints;
    /** @type {Options["tokenProvider"]} */
    tokenProvider: Options["tokenProvider"];
    /** @type {NonNullable<Options["metadata"]>} */
    metadata: NonNullable<Options["metadata"]>;
    /** @type {NonNullable<Options["variables"]>} */
    variables: NonNullable<Options["variables"]>;
    /** @type {NonNullable<Options["tools"]>} */
    tools: NonNullable<Options["tools"]>;
    audio: HTMLAudioElement | null;
    /** For what comes next; a call under way stays as it is. @param {Options} options */
    updateOptions(options: Options): void;
    /** The same object until something changes. */
    getState(): import("./call-state.js").CallState;
    /** @param {() => void} told at each change @returns {() => void} ends it */
    subscribe(told: () => void): () => void;
    /** Ask for the microphone and call; from a click, so that the browser plays the answer. @throws {CallError} */
    connect(): Promise<void>;
    /** A line lost the server; for lines. @param {WebRtcLine | SocketLine} line */
    lost(line: WebRtcLine | SocketLine): void;
    /** A token for one attempt. @returns {Promise<string>} @throws {CallError} */
    token(): Promise<string>;
    /** The answer to an offer, and where candidates go; for lines. @param {string} sdp @throws {CallError} */
    offer(sdp: string): Promise<{
        body: any;
        location: string;
        etag: string;
    }>;
    /** What a WebSocket begins with; for lines. @returns {Promise<Record<string, string>>} @throws {CallError} */
    introduction(): Promise<Record<string, string>>;
    /** Send a message to the server. @param {{type: string, [field: string]: unknown}} message */
    send(message: {
        type: string;
        [field: string]: unknown;
    }): void;
    /** Send what another protocol than the server's own wants. @param {string} text */
    sendRaw(text: string): void;
    /** Type instead of speaking. @param {string} text */
    sendText(text: string): void;
    /** Something that the model is to know from the next turn on; null forgets it. @param {string} key @param {string | null} value */
    setContext(key: string, value: string | null): void;
    /** How turns are taken: `turns`, `min_pause_ms`, `max_pause_ms`, `completeness`; `language` and `voice` where the agent lets pages choose. @param {Record<string, unknown>} settings */
    configure(settings: Record<string, unknown>): void;
    /** Push to talk: while it is held the caller is heard and the agent is silent; letting it go ends the turn. @param {boolean} down */
    hold(down: boolean): void;
    /** The caller is done: what was said is answered now, whatever the silence (push to talk). */
    endTurn(): void;
    /** Drop a tool's call from the state, when it has been looked at. @param {string} id */
    dismissTool(id: string): void;
    /** What came from the server; for lines. @param {string} text */
    receive(text: string): void;
    /** Begin to listen in a call that was connected without, or go on with another microphone. @param {MediaTrackConstraints} [constraints] @throws {CallError} */
    openMicrophone(constraints?: MediaTrackConstraints): Promise<void>;
    /** @param {string} deviceId of `microphones()` @throws {CallError} */
    setMicrophone(deviceId: string): Promise<void>;
    /** @param {string} deviceId of `speakers()` @throws {CallError} */
    setSpeaker(deviceId: string): Promise<void>;
    /** Those there are, with their names once a microphone was allowed. */
    microphones(): Promise<MediaDeviceInfo[]>;
    speakers(): Promise<MediaDeviceInfo[]>;
    /** @param {boolean} muted @param {boolean} [told] whether the server hears of it */
    setMuted(muted: boolean, told?: boolean): void;
    toggleMute(): void;
    /** How loud it is now, 0 to 1; read it at each frame that is drawn. @param {"user" | "agent"} who */
    level(who: "user" | "agent"): number;
    /** The voice's spectrum now, low to high, each band from 0 to 1; for pictures of it. @param {"user" | "agent"} who @param {number} count @returns {number[]} */
    bands(who: "user" | "agent", count: number): number[];
    /** The agent's voice came; for lines. @param {WebRtcLine | SocketLine} line @param {MediaStream} voice */
    hear(line: WebRtcLine | SocketLine, voice: MediaStream): void;
    /** Play what the browser refused to play before a click; it is tried again at the next click by itself. */
    startAudio(): Promise<void>;
    /** End the call from this side. */
    disconnect(): void;
    /** The same, under the name that others have for it. */
    destroy(): void;
    /** @param {string} reason @param {string} [message] @param {boolean} [failed] whether something was wrong, rather than over */
    end(reason: string, message?: string, failed?: boolean): void;
    /** @param {string} type @param {unknown} detail */
    dispatch(type: string, detail: unknown): void;
    #private;
}
export type CallState = import("./call-state.js").CallState;
export type Token = string | {
    token: string;
    server?: string;
};
export type Options = {
    /**
     * who is called; may be left out with a token that says it
     */
    agent?: string | undefined;
    /**
     * where it is not the page's own: `https://box.example`
     */
    server?: string | undefined;
    /**
     * gets a token from your backend; where there is none, the page's origin is tried
     */
    tokenProvider?: ((channel: string) => Promise<Token>) | undefined;
    /**
     * comes back in `call.started`
     */
    metadata?: Record<string, unknown> | undefined;
    /**
     * fill `{{name}}` in prompt and greeting
     */
    variables?: Record<string, string | number | boolean> | undefined;
    /**
     * that run in the page, by their names: what they return goes to the model, what they throw too
     */
    tools?: Record<string, (args: any) => unknown> | undefined;
    /**
     * how the microphone is opened
     */
    microphone?: MediaTrackConstraints | undefined;
    /**
     * plays the agent's voice; one of its own where none is given, none for null
     */
    audio?: HTMLAudioElement | null | undefined;
    transport?: "webrtc" | "websocket" | "auto" | undefined;
    /**
     * for callers behind another network; none on a LAN
     */
    iceServers?: RTCIceServer[] | undefined;
    /**
     * connect without a microphone; `openMicrophone` brings it
     */
    listenLater?: boolean | undefined;
};
import { WebRtcLine } from "./lines.js";
import { SocketLine } from "./lines.js";
