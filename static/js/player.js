/** The page that listens in on one call, by a link with a token in it. @module */

import { Listening } from "./listening.js";
import { clock } from "./record.js";

const WORDS = {
  connecting: "Connecting",
  listening: "Listening",
  speaking: "The caller hears you",
  over: "The call is over.",
  refused: "Not connected",
};
/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {Listening | undefined} */
let listening;

const call = decodeURIComponent(location.pathname.split("/").at(-2) ?? "");
$("call").textContent = call;
document.title = `Listening in · ${call}`;
/** When listening began, in ms; 0 before and after. */
let since = 0;
setInterval(() => since && ($("clock").textContent = clock((performance.now() - since) / 1000)), 1000);

/** @param {import("./listening.js").ListeningState} now */
function show({ state, scope, problem }) {
  $("state").textContent = WORDS[state];
  $("problem").textContent = problem;
  $("say").hidden = !scope;
  $("take").hidden = scope !== "supervise";
  $("take").textContent = state === "speaking" ? "Hand back to the agent" : "Take over";
  $("heard").textContent = state === "speaking" ? "You speak in the agent's place." : "Nobody in the call hears you.";
  const isOn = state === "listening" || state === "speaking";
  if (isOn) since ||= performance.now();
  else since = 0;
  $("listen").hidden = !isOn && state !== "connecting";
  $("listen").textContent = isOn ? "Stop listening" : "Listen";
  /** @type {HTMLButtonElement} */ ($("listen")).disabled = state === "connecting";
}

$("listen").toggleAttribute("disabled", false);
$("listen").addEventListener("click", () => {
  if (listening) {
    listening.close();
    show({ state: "over", scope: "", problem: "" });
    $("state").textContent = "You have stopped listening.";
    return;
  }
  const address = new URL(location.href.replace(/\/player(?=$|[?#])/, "/ws"));
  listening = new Listening(address.href.replace(/^http/, "ws"), show);
});
$("take").addEventListener("click", () =>
  listening?.now.state === "speaking" ? listening.giveBack() : listening?.takeOver(),
);
$("say").addEventListener("submit", (e) => {
  e.preventDefault();
  const field = /** @type {HTMLInputElement} */ ($("say").querySelector("input"));
  if (field.value.trim()) listening?.say(field.value.trim());
  field.value = "";
});
