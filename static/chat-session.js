/** A conversation in writing with an agent; a socket that breaks is followed by another, and nothing is missed. @module */

import { CallError, refusal } from "./call-error.js";
import { OWN_SERVER } from "./own-server.js";

/** @typedef {{id: string, role: "user" | "assistant", text: string}} ChatMessage */
/**
 * @typedef {object} ChatState
 * @property {"idle" | "connecting" | "connected" | "reconnecting" | "error"} status
 * @property {readonly ChatMessage[]} messages
 * @property {boolean} typing the agent is about to answer
 * @property {string} streamingText of the answer that is being made
 * @property {string} sessionId
 * @property {{code: string, message: string} | null} error
 */
/**
 * @typedef {object} ChatOptions
 * @property {string} [agent] whom to write to; may be left out with a token that says it
 * @property {string} [server] where it is not the page's own
 * @property {(channel: string) => Promise<import("./voice-session.js").Token>} [tokenProvider] is called with `chat`
 * @property {Record<string, (args: any) => unknown>} [tools] that run in the page
 */

/** @type {ChatState} */
const IDLE = Object.freeze({
  status: "idle",
  messages: [],
  typing: false,
  streamingText: "",
  sessionId: "",
  error: null,
});
const WAITS_MS = [0, 1000, 3000];

/** Events: `change` (the state), all of the server's under their own types, and `event` (all of them). */
export class ChatSession extends EventTarget {
  /** @type {ChatState} */
  #state = IDLE;
  /** @type {WebSocket | null} */
  #socket = null;
  /** Of the newest event that came. */
  #seq = -1;
  #over = true;

  /** @param {ChatOptions} [options] */
  constructor({ agent = "", server = "", tokenProvider, tools = {} } = {}) {
    super();
    this.agent = agent;
    this.server = server;
    this.tokenProvider = tokenProvider;
    this.tools = tools;
  }

  /** The same object until something changes. */
  getState() {
    return this.#state;
  }

  /** @param {() => void} told at each change @returns {() => void} ends it */
  subscribe(told) {
    this.addEventListener("change", told);
    return () => this.removeEventListener("change", told);
  }

  /** @throws {CallError} */
  async connect() {
    if (!this.#over) return;
    this.#over = false;
    this.#seq = -1;
    this.#set({ ...IDLE, status: "connecting" });
    try {
      await this.#open({ ...(this.agent && { agent: this.agent }), token: await this.#token() });
    } catch (error) {
      this.#over = true;
      const { code = "no_connection", message = String(error) } = /** @type {Partial<CallError>} */ (error);
      this.#set({ status: "error", error: { code, message } });
      throw error;
    }
  }

  /** @param {string} text */
  send(text) {
    this.#send({ type: "text.send", text });
    this.#set({ typing: true });
  }

  /** Something that the model is to know from the next turn on; null forgets it. @param {string} key @param {string | null} value */
  setContext(key, value) {
    this.#send({ type: "context.set", key, value });
  }

  disconnect() {
    if (this.#over) return;
    this.#send({ type: "call.end" });
    this.#end(null);
  }

  async #token() {
    if (this.tokenProvider) {
      const given = await this.tokenProvider("chat");
      if (typeof given === "string") return given;
      if (given.server && !this.server) this.server = given.server.replace(/^ws/, "http").replace(/\/$/, "");
      return given.token;
    }
    let response;
    try {
      response = await fetch(
        `${this.server || OWN_SERVER}/chat/token?${new URLSearchParams({ agent_id: this.agent })}`,
      );
    } catch {
      throw new CallError("no_server", "The server does not answer. Is it still running?");
    }
    const body = await response.json().catch(() => null);
    if (!response.ok) throw refusal(body);
    return body.token;
  }

  /** @param {Record<string, string>} query */
  #open(query) {
    const address = new URL(`${this.server || OWN_SERVER}/v1/chat?${new URLSearchParams(query)}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address));
    return new Promise((resolve, reject) => {
      socket.onerror = () =>
        reject(new CallError("no_connection", "The server refused the connection, or cannot be reached."));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "session.opened") {
          this.#set({ status: "connected", sessionId: message.session_id });
          resolve(undefined);
        }
        this.#receive(message);
      };
      socket.onclose = () => {
        if (!this.#over && socket === this.#socket && this.#state.sessionId) void this.#reconnect();
      };
    });
  }

  async #reconnect() {
    this.#set({ status: "reconnecting" });
    for (const wait of WAITS_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#over) return;
      try {
        return await this.#open({ session: this.#state.sessionId, after: String(this.#seq) });
      } catch {
        // once more
      }
    }
    this.#end({ code: "connection_lost", message: "The connection to the server was lost." });
  }

  /** @param {any} message */
  #receive(message) {
    this.#seq = message.seq ?? this.#seq;
    const { messages, streamingText } = this.#state;
    switch (message.type) {
      case "user.transcript":
        if (message.final && message.text)
          this.#set({ messages: [...messages, { id: `user-${message.turn_id}`, role: "user", text: message.text }] });
        break;
      case "agent.text_delta":
        this.#set({ typing: true, streamingText: streamingText + message.text });
        break;
      case "agent.text":
        this.#set({
          typing: false,
          streamingText: "",
          messages: [...messages, { id: message.turn_id, role: "assistant", text: message.text }],
        });
        break;
      case "tool.called":
        if (message.runs_at === "client") void this.#runTool(message);
        break;
      case "error":
        this.#set({ typing: false, error: { code: message.code, message: message.message } });
        break;
      case "call.ended":
        this.#end(null);
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
    this.dispatchEvent(new CustomEvent("event", { detail: message }));
  }

  /** @param {{id: string, name: string, arguments: object}} call */
  async #runTool({ id, name, arguments: args }) {
    const tool = this.tools[name];
    if (!tool) return; // the page answers by itself
    try {
      this.#send({ type: "tool.result", id, result: (await tool(args)) ?? null });
    } catch (error) {
      this.#send({ type: "tool.result", id, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {{code: string, message: string} | null} error */
  #end(error) {
    this.#over = true;
    this.#socket?.close();
    this.#set({ status: "idle", typing: false, streamingText: "", error });
  }

  /** @param {Partial<ChatState>} change */
  #set(change) {
    this.#state = Object.freeze({ ...this.#state, ...change });
    this.dispatchEvent(new CustomEvent("change", { detail: this.#state }));
  }
}
