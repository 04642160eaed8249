export class VoiceWidget extends HTMLElement {
    static observedAttributes: string[];
    /** @type {import("./voice-session.js").Options["tokenProvider"]} */
    tokenProvider: import("./voice-session.js").Options["tokenProvider"];
    /** @type {import("./voice-session.js").Options["tools"]} */
    tools: import("./voice-session.js").Options["tools"];
    /** @type {VoiceSession | ChatSession | null} */
    session: VoiceSession | ChatSession | null;
    /** @type {Map<string, HTMLElement>} */
    lines: Map<string, HTMLElement>;
    set mode(mode: "orb" | "modal" | "chat");
    /** @returns {"orb" | "modal" | "chat"} */
    get mode(): "orb" | "modal" | "chat";
    set label(label: string);
    get label(): string;
    /** A text in the visitor's language, or what an attribute says in its place. @param {string} name */
    text(name: string): string;
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
    /** What there is in this mode. */
    build(): void;
    /** Whether visitors hold a button while they speak. */
    get pushes(): boolean;
    get panel(): HTMLDialogElement | null;
    /** Begin a call, or a conversation in writing; from a click, since a call asks for the microphone. @param {boolean} [agreed] to `consent` */
    call(agreed?: boolean): Promise<void>;
    hangUp(): void;
    /** Send what is in the field; in writing the first message begins the conversation. @param {HTMLInputElement} field */
    write(field: HTMLInputElement): Promise<void>;
    /** @param {VoiceSession | ChatSession} session */
    left(session: VoiceSession | ChatSession): void;
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
    #private;
}
import { VoiceSession } from "./voice-session.js";
import { ChatSession } from "./chat-session.js";
