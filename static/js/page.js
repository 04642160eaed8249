/** What the page's modules have in common: elements by their id, and choices that are remembered. @module */

/** @template {HTMLElement} T @param {string} id @returns {T} */
export const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** What was chosen in this browser; nothing where it keeps nothing. @param {string} name */
export function remembered(name) {
  try {
    return localStorage.getItem(`media-server ${name}`) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    if (value) localStorage.setItem(`media-server ${name}`, value);
    else localStorage.removeItem(`media-server ${name}`);
  } catch {
    // a browser that keeps nothing asks again
  }
}
