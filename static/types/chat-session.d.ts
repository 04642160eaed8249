/** Events: `change` (the state), all of the server's under their own types, and `event` (all of them). */
export class ChatSession extends EventTarget {
    /** @param {ChatOptions} [options] */
    constructor({ agent, server, tokenProvider, tools }?: ChatOptions);
    agent: string;
    server: string;
    tokenProvider: ((channel: string) => Promise<import("./voice-session.js").Token>) | undefined;
    tools: Record<string, (args: any) => unknown>;
    /** The same object until something changes. */
    getState(): ChatState;
    /** @param {() => void} told at each change @returns {() => void} ends it */
    subscribe(told: () => void): () => void;
    /** @throws {CallError} */
    connect(): Promise<void>;
    /** @param {string} text */
    send(text: string): void;
    /** Something that the model is to know from the next turn on; null forgets it. @param {string} key @param {string | null} value */
    setContext(key: string, value: string | null): void;
    disconnect(): void;
    #private;
}
export type ChatMessage = {
    id: string;
    role: "user" | "assistant";
    text: string;
};
export type ChatState = {
    status: "idle" | "connecting" | "connected" | "reconnecting" | "error";
    messages: readonly ChatMessage[];
    /**
     * the agent is about to answer
     */
    typing: boolean;
    /**
     * of the answer that is being made
     */
    streamingText: string;
    sessionId: string;
    error: {
        code: string;
        message: string;
    } | null;
};
export type ChatOptions = {
    /**
     * whom to write to; may be left out with a token that says it
     */
    agent?: string | undefined;
    /**
     * where it is not the page's own
     */
    server?: string | undefined;
    /**
     * is called with `chat`
     */
    tokenProvider?: ((channel: string) => Promise<import("./voice-session.js").Token>) | undefined;
    /**
     * that run in the page
     */
    tools?: Record<string, (args: any) => unknown> | undefined;
};
