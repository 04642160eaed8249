export class VoiceWidget extends HTMLElement {
    /** @type {import("./voice-session.js").Options["tokenProvider"]} */
    tokenProvider: import("./voice-session.js").Options["tokenProvider"];
    /** @type {import("./voice-session.js").Options["tools"]} */
    tools: import("./voice-session.js").Options["tools"];
    /** @type {VoiceSession | null} */
    session: VoiceSession | null;
    /** @type {Map<string, HTMLElement>} */
    lines: Map<string, HTMLElement>;
    orb: HTMLElement;
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** Begin a call; from a click, since it asks for the microphone. */
    call(): Promise<void>;
    hangUp(): void;
    /** @param {VoiceSession} session */
    left(session: VoiceSession): void;
    /** @param {import("./call-state.js").CallState} state */
    show(state: import("./call-state.js").CallState): void;
    /** @param {readonly import("./call-state.js").Message[]} messages */
    showMessages(messages: readonly import("./call-state.js").Message[]): void;
    /** The orb moves with the agent's voice. @param {VoiceSession} session */
    draw(session: VoiceSession): void;
    /** @param {string} selector @returns {HTMLElement} */
    find(selector: string): HTMLElement;
    /** @param {string} name */
    part_(name: string): HTMLElement;
}
import { VoiceSession } from "./voice-session.js";
