/** @typedef {import("./voice-session.js").Options & {autoConnect?: boolean}} Options */
/**
 * One call, as a component sees it: its state, and what can be done. Options may be literals: a new object at each render
 * changes nothing of a call under way.
 * @param {Options} options
 */
export function useVoiceAssistant(options: Options): {
    session: VoiceSession;
    connect: () => Promise<void>;
    disconnect: () => void;
    toggleMicrophone: () => void;
    isConnected: boolean;
    isConnecting: boolean;
    isMicEnabled: boolean;
    error: string | null;
    connectionState: string;
    status: import("./call-state.js").Status;
    phase: import("./call-state.js").Phase;
    /**
     * `webrtc`, `websocket`, or nothing yet
     */
    transport: string;
    messages: readonly import("./call-state.js").Message[];
    toolCalls: readonly import("./call-state.js").ToolCall[];
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
};
/** What the `VoiceProvider` around a component knows of its call. */
export function useVoice(): {
    session: VoiceSession;
    connect: () => Promise<void>;
    disconnect: () => void;
    toggleMicrophone: () => void;
    isConnected: boolean;
    isConnecting: boolean;
    isMicEnabled: boolean;
    error: string | null;
    connectionState: string;
    status: import("./call-state.js").Status;
    phase: import("./call-state.js").Phase;
    /**
     * `webrtc`, `websocket`, or nothing yet
     */
    transport: string;
    messages: readonly import("./call-state.js").Message[];
    toolCalls: readonly import("./call-state.js").ToolCall[];
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
};
/** @param {Options & {children?: any}} props */
export function VoiceProvider({ children, ...options }: Options & {
    children?: any;
}): unknown;
/**
 * `<voice-widget>` as a component.
 * @param {{agent: string, mode?: "orb" | "modal" | "chat", theme?: string, server?: string, label?: string, tokenProvider?: import("./voice-session.js").Options["tokenProvider"], onStatusChange?: (status: string) => void, [attribute: string]: any}} props
 */
export function VoiceWidget({ tokenProvider, onStatusChange, ...attributes }: {
    agent: string;
    mode?: "orb" | "modal" | "chat";
    theme?: string;
    server?: string;
    label?: string;
    tokenProvider?: import("./voice-session.js").Options["tokenProvider"];
    onStatusChange?: (status: string) => void;
    [attribute: string]: any;
}): unknown;
export type Options = import("./voice-session.js").Options & {
    autoConnect?: boolean;
};
import { VoiceSession } from "./voice-session.js";
