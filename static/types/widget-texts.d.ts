/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
export const TEXTS: Readonly<Record<string, Readonly<Record<string, string>>>>;
export function problemText(code: string): string;
