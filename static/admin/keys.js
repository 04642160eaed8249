/** API keys: who holds one, making one, adding credit, revoking. @module */

import { button, h, labelled, openDialog, present, sure, table } from "./dom.js";
import { json, rememberKey, send } from "./server.js";
import { when } from "./words.js";

/** @type {import("./admin.js").View} */
export async function keysView(view, rest, query, signal) {
  const { keys } = await json("/v1/keys");
  if (signal.aborted) return;
  const again = () => keysView(view, rest, query, signal);
  const rows = keys.map((/** @type {any} */ k) =>
    h(
      "tr",
      { class: k.revoked_at ? "over" : "" },
      h("td", {}, k.name, k.tenant && h("small", {}, k.tenant)),
      h("td", {}, k.scopes.join(", ")),
      h("td", {}, k.agents?.join(", ") ?? "All"),
      h("td", {}, k.origins?.join(", ") ?? "Programs only"),
      h("td", { class: "number" }, k.credit === null ? "No limit" : String(k.credit)),
      h("td", {}, k.revoked_at ? `Revoked ${when(k.revoked_at)}` : when(k.created_at)),
      h(
        "td",
        {},
        !k.revoked_at && button("Add credit", () => credit(k, again)),
        !k.revoked_at &&
          button(
            "Revoke",
            async () => {
              if (
                !(await sure(
                  `Revoke the key "${k.name}"? What uses it stops working at once, and so do tokens that it made.`,
                  "Revoke",
                ))
              )
                return;
              await send("DELETE", `/v1/keys/${k.id}`);
              await again();
            },
            { class: "danger" },
          ),
      ),
    ),
  );
  present(
    view,
    h(
      "section",
      { class: "card", "aria-labelledby": "keys-title" },
      h("h1", { id: "keys-title" }, "API keys"),
      keys.length
        ? null
        : h(
            "p",
            { class: "note" },
            "There are no keys: everybody on this machine may use the server. The first key closes it; from then on each page and program has to show one.",
          ),
      keys.length
        ? table("List of keys", ["Name", "Scopes", "Agents", "Pages", "Credit", "Made", "Actions"], rows, "")
        : null,
      h("div", { role: "status" }),
      form(again, keys.length === 0),
    ),
  );
}

/** @param {() => Promise<void>} again @param {boolean} first */
function form(again, first) {
  const fields = h(
    "form",
    { class: "new" },
    h("h2", {}, "New key"),
    labelled("Name", h("input", { name: "name", required: true, maxlength: "100", placeholder: "website" })),
    labelled(
      "Scope",
      h(
        "select",
        { name: "scope" },
        h("option", { value: "call", disabled: first }, "call: start calls and mint tokens"),
        h("option", { value: "admin", selected: first }, "admin: everything"),
      ),
    ),
    labelled("Agents", h("input", { name: "agents", placeholder: "All" }), "Names with commas between"),
    labelled(
      "Pages",
      h("input", { name: "origins", placeholder: "https://example.com" }),
      "Origins with commas between; empty for programs alone",
    ),
    labelled("Credit", h("input", { name: "credit", type: "number", min: "0", step: "any", placeholder: "No limit" })),
    h("button", { class: "main" }, "Make the key"),
  );
  fields.addEventListener("submit", async (e) => {
    e.preventDefault();
    const data = new FormData(fields);
    const list = (/** @type {string} */ name) =>
      String(data.get(name))
        .split(",")
        .map((s) => s.trim())
        .filter(Boolean);
    const body = {
      name: data.get("name"),
      scopes: [data.get("scope")],
      ...(list("agents").length && { agents: list("agents") }),
      ...(list("origins").length && { origins: list("origins") }),
      ...(data.get("credit") && { credit: Number(data.get("credit")) }),
    };
    const key = await send("POST", "/v1/keys", body);
    const note = h(
      "p",
      { class: "note" },
      "Copy the key now; it is not shown again: ",
      h("code", { class: "secret" }, key.secret),
    );
    if (first) rememberKey(key.secret); // or the console would ask for it, and no longer show it
    await again();
    const closed = h(
      "p",
      { class: "note" },
      "The server is closed from now on: pages and programs have to show a key. This tab goes on with yours.",
    );
    document.querySelector("#view [role=status]")?.replaceChildren(note, ...(first ? [closed] : []));
  });
  return fields;
}

/** @param {any} key @param {() => Promise<void>} again */
function credit(key, again) {
  const amount = h("input", { type: "number", min: "0", step: "any", required: true });
  const title = `Add to the credit of ${key.name}`;
  const add = h(
    "form",
    {},
    labelled(title, amount),
    h(
      "div",
      { class: "row end" },
      button("Cancel", () => dialog.close()),
      h("button", { class: "main" }, "Add"),
    ),
  );
  const dialog = openDialog(title, add);
  add.addEventListener("submit", async (e) => {
    e.preventDefault();
    dialog.close();
    await send("POST", `/v1/keys/${key.id}/credit`, { add: Number(amount.value) });
    await again();
  });
}
