/** Making elements, and small parts that several views have. @module */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, any>} [more] attributes; `on…` are listeners, `class` is the class, `data` an object of data
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(name, more = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(more)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key === "value" || key === "checked" || key === "disabled") /** @type {any} */ (node)[key] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(
    ...children
      .filter((c) => c !== null && c !== undefined && c !== false)
      .map((c) => /** @type {Node | string} */ (c)),
  );
  return node;
}

/** @param {string} text @param {() => unknown} act @param {Record<string, any>} [more] */
export const button = (text, act, more = {}) => h("button", { type: "button", onclick: act, ...more }, text);

/** A labelled field. @param {string} label @param {HTMLElement} field @param {string} [hint] */
export function labelled(label, field, hint) {
  return h("label", { class: "field" }, h("span", {}, label), field, hint && h("small", {}, hint));
}

/** @param {string} label @param {string[]} heads @param {HTMLTableRowElement[]} rows @param {string} empty what stands there without rows */
export function table(label, heads, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const head = h("thead", {}, h("tr", {}, ...heads.map((each) => h("th", { scope: "col" }, each))));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, head, h("tbody", {}, ...rows)),
  );
}

/** Show a view's parts; where the keyboard was in what they replace, it goes on at their beginning. @param {HTMLElement} view @param {...Node} parts */
export function present(view, ...parts) {
  const hadFocus = view.contains(document.activeElement);
  view.replaceChildren(...parts);
  if (hadFocus) view.focus({ preventScroll: true });
}

/**
 * Draw a table again; it stays where it was scrolled to, and the keyboard where it was.
 * @param {HTMLElement} root @param {HTMLElement} drawn
 */
export function redraw(root, drawn) {
  const before = root.querySelector(".scroll");
  const { scrollLeft = 0 } = before ?? {};
  const hadFocus = before !== null && before === document.activeElement;
  root.replaceChildren(drawn);
  drawn.scrollLeft = scrollLeft;
  if (hadFocus) drawn.focus({ preventScroll: true });
}

/** A dialog over everything; once closed it is gone, and the keyboard is back where it was. @param {string} name @param {...Node} children */
export function openDialog(name, ...children) {
  const dialog = h("dialog", { "aria-label": name }, ...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before what cannot be taken back. @param {string} question @returns {Promise<boolean>} */
export function sure(question, yes = "Yes") {
  return new Promise((answer) => {
    let isSure = false;
    const close = (/** @type {boolean} */ value) => {
      isSure = value;
      dialog.close();
    };
    const choice = h(
      "div",
      { class: "row end" },
      button("Cancel", () => close(false)),
      button(yes, () => close(true), { class: "danger" }),
    );
    const dialog = openDialog(question, h("p", {}, question), choice);
    dialog.addEventListener("close", () => answer(isSure));
  });
}

/** Save text as a file. @param {string} name @param {string | Blob} content @param {string} [type] */
export function download(name, content, type = "text/plain") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
