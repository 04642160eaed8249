/** Agents: their settings, and the file of one, edited and saved. @module */

import { button, h, labelled, present, table } from "./dom.js";
import { Refused, json, send } from "./server.js";

const LONG = ["prompt", "tools", "greeting"];

/** @type {import("./admin.js").View} */
export async function agentsView(view, [chosen], _query, signal) {
  const { agents } = await json("/v1/agents");
  if (signal.aborted) return;
  const list = h(
    "ul",
    { class: "names" },
    ...agents.map((/** @type {any} */ a) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: `#/agents/${encodeURIComponent(a.name)}`, "aria-current": a.name === chosen ? "true" : undefined },
          a.name,
        ),
      ),
    ),
  );
  const detail = h("div", { class: "detail" });
  present(
    view,
    h(
      "div",
      { class: chosen ? "split narrow" : "split alone" },
      h(
        "section",
        { class: "card", "aria-labelledby": "agents-title" },
        h("h1", { id: "agents-title" }, "Agents"),
        list,
      ),
      detail,
    ),
  );
  if (!chosen || signal.aborted) return;
  const path = `/v1/agents/${encodeURIComponent(chosen)}`;
  const settings = await json(path);
  const file = await json(`${path}/file`).catch((e) => e);
  if (signal.aborted) return;
  detail.replaceChildren(
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row spread" },
        h("h2", {}, chosen),
        h("a", { class: "button main", href: `./?agent=${encodeURIComponent(chosen)}` }, "Try it"),
      ),
      settings.prompt && h("h3", {}, "Prompt"),
      settings.prompt && h("pre", {}, settings.prompt),
      settings.greeting && h("h3", {}, "Greeting"),
      settings.greeting && h("pre", {}, settings.greeting),
      settings.tools?.length ? h("h3", {}, "Tools") : null,
      settings.tools?.length
        ? h(
            "ul",
            {},
            ...settings.tools.map((/** @type {any} */ t) => h("li", {}, h("b", {}, t.name), ` ${t.description ?? ""}`)),
          )
        : null,
      h(
        "details",
        {},
        h("summary", {}, "All settings"),
        h(
          "dl",
          { class: "facts wide" },
          ...Object.entries(settings)
            .filter(([name]) => !LONG.includes(name))
            .flatMap(([name, value]) => [
              h("dt", {}, name),
              h("dd", {}, value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value)),
            ]),
        ),
      ),
    ),
    ...(settings.knowledge ? [await knowledge(path)] : []),
    editor(path, file),
  );
}

/** An agent's documents, and what a question finds in them. @param {string} path */
async function knowledge(path) {
  const { ready, documents } = await json(`${path}/knowledge`);
  const rows = documents.map((/** @type {any} */ d) =>
    h(
      "tr",
      {},
      h("td", { class: "wrap" }, d.file),
      h("td", { class: "number" }, d.passages ? String(d.passages) : "Not readable; the log says why"),
    ),
  );
  const question = h("input", { type: "search", maxlength: "1000", required: true });
  const found = h("div", { role: "status" });
  const ask = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const { passages } = await send("POST", `${path}/knowledge/search`, { question: question.value });
      const list = passages.map((/** @type {any} */ p) =>
        h(
          "li",
          {},
          h("b", {}, p.title || p.file),
          h("small", {}, ` ${p.file}, ${Math.round(p.score * 100)} % of the best`),
          h("pre", {}, p.text),
        ),
      );
      found.replaceChildren(
        list.length ? h("ol", {}, ...list) : h("p", { class: "empty" }, "Nothing in the documents fits this question."),
      );
    } catch (error) {
      found.replaceChildren(h("p", {}, error instanceof Error ? error.message : String(error)));
    }
  };
  return h(
    "section",
    { class: "card", "aria-labelledby": "documents-title" },
    h("h2", { id: "documents-title" }, "Documents"),
    table(
      "List of documents",
      ["Document", "Passages"],
      rows,
      ready ? "The folder has no documents." : "The documents are being read.",
    ),
    h(
      "form",
      { onsubmit: ask },
      labelled("What does a question find?", question),
      h("div", { class: "row" }, h("button", { class: "main" }, "Search")),
    ),
    found,
  );
}

/** @param {string} path @param {any} file of the server, or why there is none */
function editor(path, file) {
  if (file instanceof Refused) return h("section", { class: "card" }, h("p", { class: "hint" }, file.message));
  const area = h("textarea", { rows: "18", spellcheck: "false", value: file.text, readonly: !file.editable });
  const said = h("p", { role: "status", class: "said" });
  const save = button(
    "Save",
    async () => {
      said.textContent = "Saving…";
      try {
        const { problems } = await send("PUT", `${path}/file`, { text: area.value });
        said.textContent = problems.length
          ? `Saved. ${problems.join(" ")}`
          : "Saved. Calls use it from their next turn on.";
      } catch (error) {
        said.textContent = error instanceof Error ? error.message : String(error);
      }
    },
    { class: "main" },
  );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, file.file),
    labelled(
      file.editable
        ? "The version before is kept beside the file."
        : "This file is a program; change it with an editor on the server.",
      area,
    ),
    file.editable && h("div", { class: "row" }, save, said),
  );
}
