/** The attributes of `<voice-widget>`, in one table: the element, its documentation and the configurator read it. @module */

/**
 * @typedef {object} Attribute
 * @property {string} name
 * @property {"choice" | "text" | "long" | "json" | "address"} kind
 * @property {string[]} [choices] the first is the usual one
 * @property {string} [usual] what holds without it
 * @property {string} about
 */

/** @type {readonly Attribute[]} */
export const ATTRIBUTES = Object.freeze([
  { name: "agent", kind: "text", usual: "assistant", about: "The agent that answers." },
  { name: "server", kind: "address", usual: "", about: "The server's address, where it is not the page's own." },
  {
    name: "mode",
    kind: "choice",
    choices: ["orb", "modal", "chat"],
    about: "A button in the page; a button in the window's corner that opens a panel; a conversation in writing.",
  },
  {
    name: "label",
    kind: "text",
    usual: "Talk to us",
    about: "What stands at the button, and its name for screen readers.",
  },
  { name: "heading", kind: "text", usual: "", about: "The panel's title. Without it, the label." },
  { name: "welcome", kind: "text", usual: "", about: "What the agent seems to say before anything was said." },
  {
    name: "avatar",
    kind: "text",
    usual: "",
    about: "The address of a picture, or one or two letters, instead of the microphone.",
  },
  {
    name: "position",
    kind: "choice",
    choices: ["bottom-right", "bottom-left", "top-right", "top-left"],
    about: "The corner of the window, for the mode `modal`.",
  },
  {
    name: "theme",
    kind: "choice",
    choices: ["", "light", "dark", "midnight", "aurora", "sunset"],
    about: "The colours. Without it, those of the page.",
  },
  {
    name: "lang",
    kind: "choice",
    choices: ["", "en", "de", "es", "fr", "tr"],
    about: "The language of the texts. Without it, the page's, or else the browser's.",
  },
  {
    name: "consent",
    kind: "long",
    usual: "",
    about: "What visitors have to agree to before the microphone is opened.",
  },
  { name: "transcript", kind: "choice", choices: ["on", "off"], about: "Whether what was said is shown." },
  {
    name: "push-to-talk",
    kind: "choice",
    choices: ["off", "on"],
    about: "Whether visitors hold a button while they speak, instead of being answered when they fall silent.",
  },
  {
    name: "devices",
    kind: "choice",
    choices: ["on", "off"],
    about: "Whether visitors may choose the microphone and the loudspeaker.",
  },
  {
    name: "token-url",
    kind: "address",
    usual: "",
    about: "An address of your backend that answers a POST with a token, as text or as JSON with `token`.",
  },
  { name: "variables", kind: "json", usual: "{}", about: "Values for `{{name}}` in the agent's prompt and greeting." },
  { name: "metadata", kind: "json", usual: "{}", about: "What goes with the call into its record." },
]);

/** The attribute that replaces one of the texts: `text-hang-up` for `hangUp`. @param {string} text */
export const textAttribute = (text) => `text-${text.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
