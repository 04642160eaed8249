/** Webhooks: who is told what, what has not arrived, and sending it again. @module */

import { button, h, present, table } from "./dom.js";
import { json, send } from "./server.js";

const STATES = { pending: "Waiting", delivered: "Delivered", dead: "Gave up" };

/** @type {import("./admin.js").View} */
export async function webhooksView(view, rest, query, signal) {
  const { webhooks, deliveries } = await json("/v1/webhooks");
  if (signal.aborted) return;
  const again = () => webhooksView(view, rest, query, signal);
  const dead = deliveries.filter((/** @type {any} */ d) => d.state === "dead");
  const retry = async (/** @type {object} */ which) => {
    await send("POST", "/v1/webhooks/retry", which);
    await again();
  };
  const known = webhooks.map((/** @type {any} */ w) =>
    h("tr", {}, h("td", {}, w.url), h("td", {}, w.events.join(", ")), h("td", {}, w.agents?.join(", ") ?? "All")),
  );
  const sent = deliveries.map((/** @type {any} */ d) =>
    h(
      "tr",
      { class: d.state === "dead" ? "failed" : "" },
      h("td", {}, d.type),
      h("td", {}, h("a", { href: `#/calls/${encodeURIComponent(d.call_id)}` }, d.call_id)),
      h("td", {}, d.url),
      h("td", {}, STATES[/** @type {"dead"} */ (d.state)]),
      h("td", { class: "number" }, String(d.attempts)),
      h("td", { class: "wrap" }, d.error ?? ""),
      h("td", {}, d.state === "dead" && button("Send again", () => retry({ id: d.id }))),
    ),
  );
  present(
    view,
    h(
      "section",
      { class: "card" },
      h("h1", {}, "Webhooks"),
      table(
        "List of webhooks",
        ["Address", "Events", "Agents"],
        known,
        "No webhooks are set. They are settings of the server: [[webhooks]] in its file.",
      ),
    ),
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row spread" },
        h("h2", {}, "Messages"),
        dead.length > 0 && button("Send all again that were given up", () => retry({})),
      ),
      table(
        "List of messages",
        ["Event", "Call", "Address", "State", "Attempts", "Last error", "Actions"],
        sent,
        "No messages of the last week.",
      ),
    ),
  );
}
