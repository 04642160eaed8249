/** The page that listens in on one call, by a link with a token in it. @module */

import { Listening } from "./listening.js";

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

$("call").textContent = decodeURIComponent(location.pathname.split("/").at(-2) ?? "");

/** @param {import("./listening.js").ListeningState} now */
function show({ state, scope, problem }) {
  $("state").textContent = WORDS[state];
  $("problem").textContent = problem;
  $("say").hidden = !scope;
  $("take").hidden = $("unless").hidden = scope !== "supervise";
  $("take").textContent = state === "speaking" ? "Hand back to the agent" : "Take over";
  $("take").setAttribute("aria-pressed", String(state === "speaking"));
}

$("listen").addEventListener("click", () => {
  /** @type {HTMLButtonElement} */ ($("listen")).disabled = true;
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
