/** A home that exists in the page alone: lights, heating and blinds, which an agent's client tools really change. @module */

const ROOMS = ["kitchen", "living room", "bedroom", "bathroom"];
const DEGREES = { lowest: 5, highest: 30 };
const MARKED_MS = 2500;

/** @typedef {{light: "on" | "off", degrees: number, blinds: "open" | "closed"}} Room */

/** The names of the tools that the home answers. */
export const HOME_TOOLS = ["set_light", "set_temperature", "set_blinds"];

export class Home {
  /** @type {Map<string, Room>} */
  rooms = new Map(ROOMS.map((name) => [name, { light: "off", degrees: 19, blinds: "open" }]));
  /** @type {Record<string, (args: any) => unknown>} */
  tools = {
    set_light: ({ room, state }) =>
      this.#set(room, { light: oneOf("state", state, /** @type {const} */ (["on", "off"])) }),
    set_temperature: ({ room, degrees }) => this.#set(room, { degrees: within(degrees) }),
    set_blinds: ({ room, state }) =>
      this.#set(room, { blinds: oneOf("state", state, /** @type {const} */ (["open", "closed"])) }),
  };

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    this.#draw();
  }

  /** @param {unknown} wanted @param {Partial<Room>} change */
  #set(wanted, change) {
    const name = ROOMS.find((room) => room === `${wanted}`.toLowerCase().replace(/^the /, "").trim());
    const room = name && this.rooms.get(name);
    if (!name || !room) throw new Error(`There is no room called ${wanted}. There are: ${ROOMS.join(", ")}.`);
    Object.assign(room, change);
    this.#draw(name);
    return { room: name, ...change };
  }

  /** @param {string} [marked] the room that was changed */
  #draw(marked) {
    this.list.replaceChildren(
      ...[...this.rooms].map(([name, { light, degrees, blinds }]) => {
        const item = document.createElement("li");
        item.dataset.light = light;
        item.appendChild(document.createElement("b")).textContent = name[0].toUpperCase() + name.slice(1);
        for (const text of [`Light ${light}`, `${degrees} °C`, `Blinds ${blinds}`])
          item.appendChild(document.createElement("span")).textContent = text;
        if (name === marked) {
          item.dataset.changed = "";
          setTimeout(() => delete item.dataset.changed, MARKED_MS);
        }
        return item;
      }),
    );
  }
}

/** @template {string} T @param {string} name @param {unknown} value @param {readonly T[]} values @returns {T} */
function oneOf(name, value, values) {
  const found = values.find((each) => each === value);
  if (!found) throw new Error(`${name} has to be ${values.join(" or ")}, not ${value}.`);
  return found;
}

/** @param {unknown} value */
function within(value) {
  const degrees = Number(value);
  if (!(degrees >= DEGREES.lowest && degrees <= DEGREES.highest))
    throw new Error(`The heating takes ${DEGREES.lowest} to ${DEGREES.highest} degrees, not ${value}.`);
  return Math.round(degrees);
}
