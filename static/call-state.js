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
export const IDLE = Object.freeze({
  status: "idle",
  phase: "idle",
  transport: "",
  messages: [],
  toolCalls: [],
  isMuted: false,
  userSpeaking: false,
  agentSpeaking: false,
  duration: 0,
  idleWarning: null,
  personInCall: false,
  playbackBlocked: false,
  microphoneLost: false,
  ending: null,
  error: null,
});

/** @type {Record<string, Phase>} */
const PHASES = {
  listening: "listening",
  user_speaking: "speaking",
  thinking: "thinking",
  agent_speaking: "listening",
  ended: "idle",
};

/** @param {readonly Message[]} messages @param {Message} message */
function put(messages, message) {
  const at = messages.findIndex((m) => m.id === message.id);
  return at < 0 ? [...messages, message] : messages.map((m, i) => (i === at ? { ...m, ...message } : m));
}

/** @param {CallState} state @param {string} turn @param {Partial<Message>} change @returns {CallState} */
function reply(state, turn, change) {
  const id = `bot-${turn}`;
  const before = state.messages.find((m) => m.id === id);
  const by = state.personInCall && !before ? { by: /** @type {const} */ ("person") } : {};
  return { ...state, messages: put(state.messages, { id, role: "bot", text: "", ...by, ...before, ...change }) };
}

/** The state after an event of the server. @param {CallState} state @param {any} event @returns {CallState} */
export function after(state, event) {
  const turn = event.turn_id;
  switch (event.type) {
    case "state.changed":
      return { ...state, phase: PHASES[event.state] ?? state.phase, agentSpeaking: event.state === "agent_speaking" };
    case "user.speech_started":
      return { ...state, userSpeaking: true, idleWarning: null };
    case "user.speech_stopped":
      return { ...state, userSpeaking: false };
    case "turn.paused":
      return { ...state, phase: "pause" };
    case "turn.resumed":
      return { ...state, phase: "speaking" };
    case "user.transcript": {
      const id = `user-${turn}`;
      if (!event.text) return { ...state, messages: state.messages.filter((m) => m.id !== id) };
      return {
        ...state,
        idleWarning: null,
        messages: put(state.messages, { id, role: "user", text: event.text, isInterim: !event.final }),
      };
    }
    case "agent.text_delta": {
      const so_far = state.messages.find((m) => m.id === `bot-${turn}`)?.text ?? "";
      return reply(state, turn, { text: so_far + event.text, isInterim: true });
    }
    case "agent.text":
      return reply(state, turn, { text: event.text, isInterim: false });
    case "agent.speech_started":
      return reply(state, turn, { speaking: true });
    case "agent.speech_stopped":
      if (event.reason !== "interrupted") return reply(state, turn, { speaking: false });
      return reply(state, turn, { speaking: false, isInterim: false, interrupted: true, text: event.heard });
    case "tool.called": {
      const call = { toolCallId: event.id, name: event.name, arguments: event.arguments ?? {}, timestamp: Date.now() };
      return { ...state, toolCalls: [...state.toolCalls, call] };
    }
    case "tool.returned": {
      const { id, result, error } = event;
      return { ...state, toolCalls: state.toolCalls.map((c) => (c.toolCallId === id ? { ...c, result, error } : c)) };
    }
    case "call.paused":
      return { ...state, personInCall: true };
    case "call.resumed":
      return { ...state, personInCall: false };
    case "idle.warning":
      return { ...state, idleWarning: event.remaining_s };
    case "error":
      return { ...state, error: { code: event.code, message: event.message } };
    default:
      return state;
  }
}
