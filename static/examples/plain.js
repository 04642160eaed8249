/** A call in a page of one's own. @module */

import { VoiceSession } from "../voice-session.js";
import { buttons, problem, run, say, state } from "./page.js";

/** @type {VoiceSession} */
let session;

async function call() {
  session = new VoiceSession({ agent: "assistant" });
  /** @param {string} type @param {(detail: any) => void} react */
  const on = (type, react) => session.addEventListener(type, (e) => react(/** @type {CustomEvent} */ (e).detail));
  on("state.changed", (e) => state(e.state));
  on("user.transcript", (e) => e.final && e.text && say("you", e.text));
  on("agent.text", (e) => say("agent", e.text));
  on("ended", ({ message }) => {
    problem(message);
    state("ended");
    buttons(false);
  });
  await session.connect();
}

run(call, () => session.disconnect());
