/** The agents that can be chosen: a menu, and the chosen one's name, colour and example sentences. @module */

import { $ } from "./page.js";

/** @typedef {import("./server.js").Card} Card */

/** @param {string} name @returns {Card} */
const unknown = (name) => ({
  name,
  title: name.replace(/[_-]+/g, " ").replace(/^./u, (first) => first.toUpperCase()),
  description: "",
  examples: [],
  color: "",
  language: null,
  turns: "balanced",
  recording: false,
  client_settings: [],
  tools: [],
  client_tools: [],
});

export class Agents {
  /** @type {Card[]} */
  #cards = [];
  #chosen = unknown("assistant");

  /** @param {{onChoose: (card: Card) => void, onPick: (card: Card) => void, onExample: (text: string) => void}} react */
  constructor(react) {
    this.react = react;
    // a popover stands in the top layer, away from the button that opens it
    placed($("agents"), $("choose"));
  }

  get chosen() {
    return this.#chosen;
  }

  /** @param {string} name */
  knows(name) {
    return this.#cards.some((card) => card.name === name);
  }

  /** @param {Card[]} cards @param {string} name */
  offer(cards, name) {
    this.#cards = cards;
    $("agent-list").replaceChildren(...cards.map((card) => this.#entry(card)));
    this.choose(name);
  }

  /** @param {string} name */
  choose(name) {
    const card = (this.#chosen = this.#cards.find((each) => each.name === name) ?? unknown(name));
    $("agent").textContent = $("agent").title = card.title;
    $("agent").classList.toggle("long", card.title.length > 40);
    $("choose").hidden = this.#cards.length < 2;
    const avatar = /** @type {HTMLElement} */ ($("choose").querySelector(".avatar"));
    paint(avatar, card);
    document.documentElement.style.setProperty("--agent", card.color || "var(--accent)");
    $("description").textContent =
      card.description || `Press Call, allow the microphone, and speak with ${card.title}.`;
    $("try").hidden = !card.examples.length;
    $("examples").replaceChildren(
      ...card.examples.map((text) => {
        const item = document.createElement("li");
        const button = item.appendChild(document.createElement("button"));
        button.type = "button";
        button.textContent = text;
        button.addEventListener("click", () => this.react.onExample(text));
        return item;
      }),
    );
    for (const entry of $("agent-list").querySelectorAll("button"))
      entry.setAttribute("aria-current", String(entry.dataset.name === name));
    this.react.onChoose(card);
  }

  /** @param {Card} card */
  #entry(card) {
    const item = document.createElement("li");
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.dataset.name = card.name;
    const avatar = button.appendChild(document.createElement("span"));
    avatar.className = "avatar";
    avatar.setAttribute("aria-hidden", "true");
    paint(avatar, card);
    const words = button.appendChild(document.createElement("span"));
    words.appendChild(document.createElement("b")).textContent = card.title;
    words.appendChild(document.createElement("small")).textContent = card.description;
    button.addEventListener("click", () => {
      $("agents").hidePopover();
      this.choose(card.name);
      this.react.onPick(card);
    });
    return item;
  }
}

/** @param {HTMLElement} avatar @param {Card} card */
function paint(avatar, { title, color }) {
  avatar.textContent = [...title][0]?.toUpperCase() ?? "?";
  avatar.style.background = color || "#0f766e";
  avatar.style.color = isBright(color || "#0f766e") ? "#10201d" : "#ffffff";
}

/** Whether dark letters are read better on a colour than white ones (WCAG 2, relative luminance). @param {string} hex */
function isBright(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18;
}

/** Keep a popover below its button while it is open. @param {HTMLElement} menu @param {HTMLElement} button */
export function placed(menu, button) {
  menu.addEventListener("toggle", () => place(menu, button));
  addEventListener("resize", () => place(menu, button));
}

/** Put a popover below its button, within the window. @param {HTMLElement} menu @param {HTMLElement} button */
function place(menu, button) {
  const { left, right, bottom, width } = button.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const middle = left + width / 2 - menu.offsetWidth / 2;
  const wanted = right > room - menu.offsetWidth / 2 ? right - menu.offsetWidth : middle;
  menu.style.left = `${Math.max(8, Math.min(wanted, room - menu.offsetWidth - 8))}px`;
  const lowest = document.documentElement.clientHeight - menu.offsetHeight - 8;
  menu.style.top = `${Math.max(8, Math.min(bottom + 6, lowest))}px`;
}
