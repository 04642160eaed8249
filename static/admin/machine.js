/** The server: its version, pack, engines and settings. @module */

import { h, present, redraw, table } from "./dom.js";
import { json } from "./server.js";
import { when } from "./words.js";

const EVERY_MS = 5000;

/** @type {import("./admin.js").View} */
export async function serverView(view, _rest, _query, signal) {
  const { settings } = await json("/v1/settings");
  if (signal.aborted) return;
  const engines = h("div", {});
  const facts = h("dl", { class: "facts" });
  const notice = h("p", { class: "note", hidden: true });
  const rows = settings.map((/** @type {any} */ s) =>
    h(
      "tr",
      { class: s.given ? "given" : "" },
      h("td", {}, h("code", {}, s.name)),
      h("td", { class: "wrap" }, typeof s.value === "string" ? s.value || "–" : JSON.stringify(s.value)),
      h("td", {}, s.given ? "Set" : "Default"),
    ),
  );
  present(
    view,
    h("section", { class: "card" }, h("h1", {}, "Server"), notice, facts, h("h2", {}, "Engines"), engines),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Settings in force"),
      table("List of settings", ["Setting", "Value", "Source"], rows, ""),
    ),
  );
  /** @type {number | undefined} */
  let timer;
  async function refresh() {
    const about = await json("/v1/server");
    if (signal.aborted) return;
    notice.hidden = !about.notice;
    notice.textContent = about.notice;
    facts.replaceChildren(
      ...[
        ["Version", about.version],
        ["Name", about.name],
        ["Running since", when(about.started_at)],
        ["Model pack", about.pack],
        ["Device", about.device],
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    );
    redraw(
      engines,
      table(
        "List of engines",
        ["Engine", "State", "Model", "Requests", "Memory", "Restarts"],
        about.engines.map((/** @type {any} */ e) =>
          h(
            "tr",
            { class: e.ready ? "" : "failed" },
            h("td", {}, e.name),
            h("td", {}, e.ready ? "Ready" : "Loading"),
            h("td", { class: "wrap" }, e.about),
            h("td", { class: "number" }, String(e.requests)),
            h("td", { class: "number" }, e.memory_mb === null ? "" : `${Math.round(e.memory_mb)} MB`),
            h("td", { class: "number" }, String(e.restarts)),
          ),
        ),
        "",
      ),
    );
    timer = setTimeout(() => refresh().catch(() => {}), EVERY_MS);
  }
  signal.addEventListener("abort", () => clearTimeout(timer));
  await refresh();
}
