/** What the example pages have in common: two buttons, a line of state, and what was said. @module */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** @param {string} text */
export const state = (text) => ($("state").textContent = text);

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
