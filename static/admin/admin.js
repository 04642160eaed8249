/** The operator's console: which view is shown, the key that it needs, and what is live. @module */

import { Refused, hasKey, json, rememberKey } from "./server.js";
import { callsView } from "./calls.js";
import { agentsView } from "./agents.js";
import { keysView } from "./keys.js";
import { logView } from "./log.js";
import { serverView } from "./machine.js";
import { webhooksView } from "./webhooks.js";

/** @typedef {(view: HTMLElement, rest: string[], query: URLSearchParams, signal: AbortSignal) => Promise<void>} View */
/** @type {Record<string, View>} */
const VIEWS = {
  calls: callsView,
  agents: agentsView,
  server: serverView,
  keys: keysView,
  webhooks: webhooksView,
  log: logView,
};
const LIVE_MS = 3000;

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** What runs for the view that is shown, and ends with it. */
let shown = new AbortController();
/** Whether the key is the operator's own, and not a tenant's; null as long as nobody knows. @type {boolean | null} */
let operator = null;
/** @type {number | undefined} */
let timer;

/** @param {unknown} error */
function told(error) {
  const needsKey = error instanceof Refused && [401, 403].includes(error.status);
  if (needsKey) {
    shown.abort();
    $("key-form").hidden = false;
    $("nav").hidden = true;
    $("live").textContent = "";
    $("view").replaceChildren();
    clearTimeout(timer);
  }
  const typed = Boolean(/** @type {HTMLInputElement} */ ($("key")).value);
  $("problem").textContent = needsKey && !typed ? "" : error instanceof Error ? error.message : String(error ?? "");
  $("problem").hidden = !$("problem").textContent;
}

async function route() {
  shown.abort();
  const mine = (shown = new AbortController());
  const [path, query] = location.hash.slice(1).split("?");
  const [name, ...rest] = path.split("/").filter(Boolean).map(decodeURIComponent);
  const view = VIEWS[name] ? name : "calls";
  for (const link of $("nav").querySelectorAll("a")) {
    const isShown = link.getAttribute("href") === `#/${view}`;
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isShown) link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone they are more than fit
    if (isShown) document.title = [rest[0], link.textContent, "Console"].filter(Boolean).join(" · ");
  }
  told("");
  try {
    // a request that is known to be refused would only be an error in the browser's console
    const offered = operator === null && !hasKey() && (await json("/v1/playground").catch(() => null));
    if (offered && !offered.may_edit) throw new Refused(401, "");
    await live();
    if (mine.signal.aborted) return;
    $("key-form").hidden = true;
    $("nav").hidden = false;
    await VIEWS[view]($("view"), rest, new URLSearchParams(query), mine.signal);
  } catch (error) {
    if (!mine.signal.aborted) told(error);
  }
}

/** Calls under way, in the bar, again and again. */
async function live() {
  clearTimeout(timer);
  try {
    const { calls, next } = await json("/v1/calls?status=active&limit=200");
    const count = calls.length;
    const more = next ? "More than " : "";
    $("live").textContent = count === 1 ? "1 call in progress" : `${more}${count || "No"} calls in progress`;
    $("live").dataset.busy = String(count > 0);
    if (operator === null) {
      operator = await json("/v1/server").then(
        () => true,
        (e) => !(e instanceof Refused && e.status === 404),
      );
      /** @type {NodeListOf<HTMLElement>} */
      const links = $("nav").querySelectorAll("[data-operator]");
      for (const link of links) link.hidden = !operator;
    }
    if (!$("problem").hidden && $("problem").textContent === "The server does not answer.") told("");
  } catch (error) {
    if (error instanceof Refused && error.status) throw error;
    told(error);
  }
  timer = setTimeout(() => live().catch(told), LIVE_MS);
}

$("key-form").addEventListener("submit", (e) => {
  e.preventDefault();
  rememberKey(/** @type {HTMLInputElement} */ ($("key")).value.trim());
  operator = null;
  void route();
});
addEventListener("hashchange", route);
addEventListener("unhandledrejection", (e) => {
  e.preventDefault();
  told(e.reason);
});
void route();
