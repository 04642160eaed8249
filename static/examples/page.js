/** What the example pages have in common: two buttons, a line of state, and what was said. @module */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** What people read of a state, whatever its door calls it. @type {Record<string, string>} */
const WORDS = {
  idle: "Not connected",
  error: "Not connected",
  disconnected: "Not connected",
  ended: "Not connected",
  connecting: "Connecting …",
  reconnecting: "Reconnecting …",
  connected: "Connected",
  listening: "Listening",
  pause: "Listening",
  user_speaking: "Hearing you",
  thinking: "Thinking",
  agent_speaking: "Speaking",
};

/** @param {string} name of a state */
export const inWords = (name) => WORDS[name] ?? name;

/** @param {string} name of a state */
export const state = (name) => ($("state").textContent = inWords(name));

/** What a page shows of `getState()`. @param {{status: string, phase: string, agentSpeaking: boolean}} now */
export function shown({ status, phase, agentSpeaking }) {
  if (status !== "connected") return inWords(status);
  return inWords(agentSpeaking ? "agent_speaking" : phase === "speaking" ? "user_speaking" : phase);
}

/** @param {unknown} error */
export const problem = (error) =>
  ($("problem").textContent = error instanceof Error ? error.message : String(error ?? ""));

/** @param {MediaStream} stream */
export function play(stream) {
  /** @type {HTMLAudioElement} */
  const voice = $("voice");
  voice.srcObject = stream;
}

/** @param {string} who @param {string} text */
export function say(who, text) {
  const line = document.createElement("li");
  line.dataset.who = who;
  line.textContent = text;
  $("said").append(line);
}

/** @param {boolean} inCall */
export function buttons(inCall) {
  /** @type {HTMLButtonElement} */ ($("call")).disabled = inCall;
  /** @type {HTMLButtonElement} */ ($("end")).disabled = !inCall;
}

/** @param {() => Promise<void>} call @param {() => void} end */
export function run(call, end) {
  $("call").addEventListener("click", async () => {
    problem("");
    $("said").replaceChildren();
    buttons(true);
    try {
      await call();
    } catch (error) {
      problem(error);
      buttons(false);
    }
  });
  $("end").addEventListener("click", end);
  buttons(false);
}
