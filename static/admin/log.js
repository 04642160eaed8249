/** The last lines of the server's log. @module */

import { button, h, labelled, present } from "./dom.js";
import { json } from "./server.js";

const EVERY_MS = 3000;

/** @type {import("./admin.js").View} */
export async function logView(view, _rest, _query, signal) {
  const level = h(
    "select",
    {},
    ...["debug", "info", "warning", "error"].map((each) => h("option", { selected: each === "info" }, each)),
  );
  const lines = h("ol", { class: "log", tabindex: "0", "aria-label": "Log" });
  const empty = h(
    "p",
    { class: "empty", hidden: true },
    "Nothing of this level has been logged since the server started.",
  );
  let stopped = false;
  const pause = button("Pause", () => {
    stopped = !stopped;
    pause.textContent = stopped ? "Resume" : "Pause";
  });
  present(
    view,
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row spread" },
        h("h1", {}, "Log"),
        h("div", { class: "row" }, labelled("Lowest level", level), pause),
      ),
      empty,
      lines,
    ),
  );
  /** @type {number | undefined} */
  let timer;
  async function refresh() {
    clearTimeout(timer);
    if (!stopped) {
      const said = (await json(`/v1/log?level=${level.value}`)).lines;
      if (signal.aborted) return;
      empty.hidden = said.length > 0;
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 30;
      lines.replaceChildren(
        ...said.map((/** @type {any} */ l) =>
          h(
            "li",
            { class: l.level },
            h("time", {}, new Date(l.at * 1000).toLocaleTimeString()),
            h("b", {}, l.level),
            h(
              "span",
              {},
              l.message,
              ...Object.entries(l.fields ?? {}).map(([name, value]) => h("small", {}, ` ${name}=${value}`)),
              l.exception && h("small", {}, ` ${l.exception}`),
            ),
          ),
        ),
      );
      if (atEnd) lines.scrollTop = lines.scrollHeight;
    }
    timer = setTimeout(() => refresh().catch(() => {}), EVERY_MS);
  }
  level.addEventListener("change", () => void refresh());
  signal.addEventListener("abort", () => clearTimeout(timer));
  await refresh();
}
