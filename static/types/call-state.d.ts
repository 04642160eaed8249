/** The state after an event of the server. @param {CallState} state @param {any} event @returns {CallState} */
export function after(state: CallState, event: any): CallState;
/** What a page shows of a call: the server's events, one after the other, into one state. Pure. @module */
/** @typedef {"idle" | "connecting" | "connected" | "reconnecting" | "error"} Status */
/** @typedef {"idle" | "listening" | "speaking" | "pause" | "thinking"} Phase of the caller's turn */
/**
 * @typedef {object} Message
 * @property {string} id
 * @property {"user" | "bot" | "system"} role
 * @property {string} text
 * @property {boolean} [isInterim] more of it is to come
 * @property {boolean} [speaking] it is heard now
 * @property {boolean} [interrupted] `text` is what was heard of it
 * @property {"person"} [by] a person said it who had taken the call over
 * @property {string} [toolCallId]
 */
/** @typedef {{toolCallId: string, name: string, arguments: Record<string, unknown>, result?: unknown, error?: string, timestamp: number}} ToolCall */
/**
 * @typedef {object} CallState
 * @property {Status} status
 * @property {Phase} phase
 * @property {string} transport `webrtc`, `websocket`, or nothing yet
 * @property {readonly Message[]} messages
 * @property {readonly ToolCall[]} toolCalls
 * @property {boolean} isMuted
 * @property {boolean} userSpeaking
 * @property {boolean} agentSpeaking
 * @property {number} duration seconds
 * @property {number | null} idleWarning seconds until the agent hangs up, since nobody says anything
 * @property {boolean} personInCall a person has taken the call over from the agent
 * @property {boolean} playbackBlocked the browser plays nothing before the page is clicked
 * @property {boolean} microphoneLost its device was unplugged, or the browser has taken it away
 * @property {{reason: string, message: string} | null} ending why the last call ended, where there is something to say; no error
 * @property {{code: string, message: string} | null} error
 */
/** @type {CallState} */
export const IDLE: CallState;
export type Status = "idle" | "connecting" | "connected" | "reconnecting" | "error";
/**
 * of the caller's turn
 */
export type Phase = "idle" | "listening" | "speaking" | "pause" | "thinking";
export type Message = {
    id: string;
    role: "user" | "bot" | "system";
    text: string;
    /**
     * more of it is to come
     */
    isInterim?: boolean | undefined;
    /**
     * it is heard now
     */
    speaking?: boolean | undefined;
    /**
     * `text` is what was heard of it
     */
    interrupted?: boolean | undefined;
    /**
     * a person said it who had taken the call over
     */
    by?: "person" | undefined;
    toolCallId?: string | undefined;
};
export type ToolCall = {
    toolCallId: string;
    name: string;
    arguments: Record<string, unknown>;
    result?: unknown;
    error?: string;
    timestamp: number;
};
export type CallState = {
    status: Status;
    phase: Phase;
    /**
     * `webrtc`, `websocket`, or nothing yet
     */
    transport: string;
    messages: readonly Message[];
    toolCalls: readonly ToolCall[];
    isMuted: boolean;
    userSpeaking: boolean;
    agentSpeaking: boolean;
    /**
     * seconds
     */
    duration: number;
    /**
     * seconds until the agent hangs up, since nobody says anything
     */
    idleWarning: number | null;
    /**
     * a person has taken the call over from the agent
     */
    personInCall: boolean;
    /**
     * the browser plays nothing before the page is clicked
     */
    playbackBlocked: boolean;
    /**
     * its device was unplugged, or the browser has taken it away
     */
    microphoneLost: boolean;
    /**
     * why the last call ended, where there is something to say; no error
     */
    ending: {
        reason: string;
        message: string;
    } | null;
    error: {
        code: string;
        message: string;
    } | null;
};
