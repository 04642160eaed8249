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
export const ATTRIBUTES: readonly Attribute[];
export function textAttribute(text: string): string;
export type Attribute = {
    name: string;
    kind: "choice" | "text" | "long" | "json" | "address";
    /**
     * the first is the usual one
     */
    choices?: string[] | undefined;
    /**
     * what holds without it
     */
    usual?: string | undefined;
    about: string;
};
