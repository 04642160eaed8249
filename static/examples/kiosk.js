// Push to talk: the microphone is open while the button is held, and letting it go ends the turn.
import { VoiceSession } from "../voice-session.js";
import { inWords } from "./page.js";

const call = new VoiceSession({ agent: new URLSearchParams(location.search).get("agent") ?? "kiosk" });
const talk = /** @type {HTMLButtonElement} */ (document.getElementById("talk"));
const state = /** @type {HTMLElement} */ (document.getElementById("state"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));
let held = false;

async function press() {
  if (held) return;
  if (call.getState().status !== "connected") {
    problem.textContent = "";
    try {
      await call.connect();
      call.setMuted(true, false);
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
    }
    return;
  }
  call.hold((held = true));
  state.textContent = "Speak";
}

function release() {
  if (!held) return;
  call.hold((held = false));
  state.textContent = "One moment";
}

talk.disabled = false;
talk.addEventListener("pointerdown", press);
for (const end of ["pointerup", "pointercancel", "pointerleave"]) talk.addEventListener(end, release);
addEventListener("keydown", (event) => {
  if (event.code !== "Space" || event.repeat) return;
  event.preventDefault();
  void press();
});
addEventListener("keyup", (event) => {
  if (event.code === "Space") release();
});

call.subscribe(() => {
  const { status, messages } = call.getState();
  talk.textContent = status === "connected" ? "Hold to talk" : "Start";
  if (status !== "connected") state.textContent = inWords(status);
  else if (!held) state.textContent = "Hold the button to talk";
  said.replaceChildren(
    ...messages.map(({ role, text }) => {
      const line = document.createElement("li");
      line.dataset.who = role === "user" ? "you" : "agent";
      line.textContent = text;
      return line;
    }),
  );
});
