/** The list of calls with its filters, and beside it the call that is chosen. @module */

import { clock } from "../js/record.js";
import { callView } from "./call.js";
import { button, h, labelled, present, redraw, table } from "./dom.js";
import { json, text } from "./server.js";
import { draw } from "./speed.js";
import { ending, wait, when } from "./words.js";

const EVERY_MS = 3000;
const PAGE = 50;
const FILTERS = ["agent", "status", "contact", "words", "since", "until"];

/** @type {import("./admin.js").View} */
export async function callsView(view, [chosen], asked, signal) {
  const { agents } = await json("/v1/agents").catch(() => ({ agents: [] }));
  if (signal.aborted) return;
  let query = asked;
  const names = agents.map((/** @type {any} */ a) => a.name);
  const form = filters(names, query, (next) => {
    query = next;
    pages = 1;
    history.replaceState(null, "", address(query, chosen));
    follow();
  });
  const list = h("div", { class: "list", "aria-live": "off" });
  const earlier = () => {
    pages++;
    follow();
  };
  const more = button("Earlier calls", earlier, { hidden: true });
  const speed = h("div", { class: "speed" });
  const speedCard = h(
    "section",
    { class: "card", hidden: true, "aria-labelledby": "speed-title" },
    h("h2", { id: "speed-title" }, "Response time"),
    h(
      "p",
      { class: "hint" },
      "From a caller's last sound, or message, to the agent's first sound, for every turn of a call since the server started.",
    ),
    speed,
  );
  const detail = h("div", { class: "detail", id: "detail" });
  present(
    view,
    h(
      "div",
      { class: chosen ? "split" : "split alone" },
      h(
        "div",
        {},
        h(
          "section",
          { class: "card", "aria-labelledby": "calls-title" },
          h("h1", { id: "calls-title" }, "Calls"),
          form,
          list,
          more,
        ),
        speedCard,
      ),
      detail,
    ),
  );
  let pages = 1;
  /** @type {number | undefined} */
  let timer;
  let following = {};
  async function refresh() {
    const shown = query;
    const wished = wanted(query);
    /** @type {any[]} */
    const calls = [];
    /** @type {string | null} */
    let next = null;
    for (let i = 0; i < pages; i++) {
      if (next) wished.set("before", next);
      const page = await json(`/v1/calls?${wished}`);
      calls.push(...page.calls);
      next = page.next;
      if (!next) break;
    }
    if (signal.aborted || shown !== query) return;
    show(list, calls, chosen, query);
    more.hidden = next === null;
    // a tenant's calls have no figures of their own
    const metrics = await text("/metrics").catch(() => "");
    speedCard.hidden = !draw(speed, metrics);
  }
  /** Show the list, and again and again; a server that is gone for a while is told in the bar. */
  async function follow() {
    clearTimeout(timer);
    const mine = (following = {});
    await refresh().catch(() => {});
    if (!signal.aborted && mine === following) timer = setTimeout(follow, EVERY_MS);
  }
  signal.addEventListener("abort", () => clearTimeout(timer));
  await refresh();
  if (signal.aborted) return;
  timer = setTimeout(follow, EVERY_MS);
  if (chosen) await callView(detail, chosen, signal, () => address(query));
}

/** What the server is asked for. @param {URLSearchParams} query */
function wanted(query) {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  for (const name of FILTERS) {
    const value = query.get(name);
    if (!value) continue;
    if (name === "since") asked.set(name, new Date(`${value}T00:00`).toISOString());
    else if (name === "until")
      asked.set(name, new Date(new Date(`${value}T00:00`).getTime() + 86_400_000).toISOString());
    else asked.set(name, value);
  }
  return asked;
}

/** @param {URLSearchParams} query @param {string} [call] */
function address(query, call) {
  const words = query.toString();
  return `#/calls${call ? `/${encodeURIComponent(call)}` : ""}${words ? `?${words}` : ""}`;
}

/** @param {string[]} agents @param {URLSearchParams} query @param {(query: URLSearchParams) => void} onChange */
function filters(agents, query, onChange) {
  const of = (/** @type {string} */ name) => query.get(name) ?? "";
  const option = (/** @type {string} */ value, /** @type {string} */ label, /** @type {string} */ now) =>
    h("option", { value, selected: value === now }, label);
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter calls" },
    labelled(
      "Words",
      h("input", { name: "words", type: "search", value: of("words"), placeholder: "What was said", maxlength: "200" }),
    ),
    labelled(
      "Agent",
      h("select", { name: "agent" }, option("", "All", of("agent")), ...agents.map((a) => option(a, a, of("agent")))),
    ),
    labelled(
      "Status",
      h(
        "select",
        { name: "status" },
        ...[
          ["", "All"],
          ["active", "In progress"],
          ["completed", "Completed"],
          ["failed", "Failed"],
          ["queued", "Waiting"],
        ].map(([v, l]) => option(v, l, of("status"))),
      ),
    ),
    labelled(
      "Contact",
      h("input", { name: "contact", value: of("contact"), maxlength: "200", placeholder: "Anybody" }),
    ),
    labelled("From", h("input", { name: "since", type: "date", value: of("since") })),
    labelled("To", h("input", { name: "until", type: "date", value: of("until") })),
  );
  const apply = () => {
    const next = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) next.set(name, String(value));
    onChange(next);
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    apply();
  });
  form.addEventListener("change", apply);
  return form;
}

/** @param {HTMLElement} list @param {any[]} calls @param {string | undefined} chosen @param {URLSearchParams} query */
function show(list, calls, chosen, query) {
  const focused = document.activeElement?.getAttribute("data-call");
  const rows = calls.map((c) => {
    const took = c.duration_s ?? (c.status === "active" ? (Date.now() - Date.parse(c.started_at)) / 1000 : 0);
    const open = h(
      "a",
      { href: address(query, c.id), data: { call: c.id }, "aria-current": c.id === chosen ? "true" : undefined },
      when(c.started_at),
    );
    return h(
      "tr",
      { class: c.status, "aria-selected": String(c.id === chosen) },
      h("td", {}, open),
      h("td", { class: "name" }, c.agent),
      h(
        "td",
        { class: "first" },
        h("span", { class: "clip", dir: "auto", title: c.first_words }, c.first_words ?? ""),
        c.contact && h("small", { dir: "auto", title: c.contact }, c.contact),
      ),
      h("td", { class: "number" }, clock(took)),
      h("td", { class: "number detail" }, c.turn_count ?? ""),
      h("td", { class: "number detail" }, wait(c.response_ms)),
      h("td", { title: c.end_reason ?? c.status }, ending(c)),
    );
  });
  const filtered = [...query.keys()].length > 0;
  redraw(
    list,
    table(
      "List of calls",
      ["Started", "Agent", "First words", "Duration", "Turns", "Median wait", "Ended because"],
      rows,
      filtered ? "No call fits these filters." : "No calls yet.",
    ),
  );
  if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[data-call="${CSS.escape(focused)}"]`))?.focus();
}
