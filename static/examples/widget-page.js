/** Sets up a `<voice-widget>` and shows the HTML for it, with this server's address. @module */

import "../voice-widget.js";
import { OWN_SERVER } from "../own-server.js";
import { playground } from "../js/server.js";
import { ATTRIBUTES } from "../widget-attributes.js";

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));
const HERE = `${location.origin}${OWN_SERVER}`;
const WHERE = {
  orb: "The widget stands where you put it in your page.",
  modal: "The widget is in a corner of this window.",
  chat: "The widget stands where you put it in your page.",
};
const BEGINS_WITH = /** @type {Record<string, string>} */ ({
  agent: new URLSearchParams(location.search).get("agent") ?? "assistant",
  label: "Talk to us",
});

/** @typedef {import("../widget-attributes.js").Attribute} Attribute */

/** @type {Map<string, HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>} */
const fields = new Map();

/** @param {Attribute} attribute */
function field({ name, kind, choices, usual, about }) {
  const label = $("form").appendChild(document.createElement("label"));
  label.appendChild(document.createElement("b")).textContent = name;
  const input = /** @type {HTMLInputElement} */ (
    label.appendChild(document.createElement(choices ? "select" : kind === "long" ? "textarea" : "input"))
  );
  for (const choice of choices ?? []) input.append(new Option(choice || "–", choice));
  input.value = BEGINS_WITH[name] ?? choices?.[0] ?? "";
  if (kind === "json") input.placeholder = usual ?? "";
  if (kind === "address") input.placeholder = "https://…";
  label.appendChild(document.createElement("small")).textContent = about;
  input.addEventListener("input", show);
  fields.set(name, input);
}

/** The attributes that say something else than what holds without them. @returns {[string, string][]} */
function chosen() {
  return ATTRIBUTES.flatMap(({ name, choices, usual }) => {
    const value = fields.get(name)?.value.trim() ?? "";
    return value && (value !== (choices?.[0] ?? usual) || name === "agent")
      ? [/** @type {[string, string]} */ ([name, value])]
      : [];
  });
}

function show() {
  const attributes = chosen();
  const widget = document.createElement("voice-widget");
  for (const [name, value] of attributes) widget.setAttribute(name, value);
  $("preview").replaceChildren(widget);
  $("where").textContent = WHERE[/** @type {keyof typeof WHERE} */ (fields.get("mode")?.value ?? "orb")];
  const withServer = attributes.some(([name]) => name === "server")
    ? attributes
    : [attributes[0], /** @type {[string, string]} */ (["server", HERE]), ...attributes.slice(1)];
  const written = withServer
    .filter(Boolean)
    .map(([name, value]) => `${name}="${value.replace(/&/g, "&amp;").replace(/"/g, "&quot;")}"`);
  $("snippet").textContent =
    `<script type="module" src="${HERE}/static/voice-widget.js"></script>\n<voice-widget ${written.join(" ")}></voice-widget>`;
}

$("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText($("snippet").textContent ?? "");
  $("said").textContent = "Copied";
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});
for (const attribute of ATTRIBUTES) if (attribute.name !== "server") field(attribute);
show();
playground().then(
  ({ agents }) => {
    const list = document.createElement("datalist");
    list.id = "known-agents";
    list.append(...agents.map(({ name, title }) => new Option(title, name)));
    document.body.append(list);
    fields.get("agent")?.setAttribute("list", list.id);
  },
  () => {},
);
