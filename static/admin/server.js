/** What the console asks the server for, with the key that was typed in. @module */

import { OWN_SERVER } from "../own-server.js";

const KEY = "media-server-admin-key";

/** An answer that is a refusal. */
export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Whether a key was typed in here. */
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

/** @param {string} key */
export function rememberKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** @param {string} path @param {RequestInit} [more] @returns {Promise<Response>} */
async function ask(path, more = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...more.headers };
  let response;
  try {
    response = await fetch(OWN_SERVER + path, { ...more, headers });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (!response.ok) {
    const said = await response.json().catch(() => null);
    throw new Refused(response.status, said?.error?.message ?? `The server answered ${response.status}.`);
  }
  return response;
}

/** @param {string} path @returns {Promise<any>} */
export const json = async (path) => (await ask(path)).json();

/** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} what is answered, if anything is */
export async function send(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask(path, {
    method,
    headers,
    body: method === "DELETE" ? undefined : JSON.stringify(body ?? {}),
  });
  return response.status === 204 ? null : response.json();
}

/** @param {string} path @returns {string} the address of a WebSocket of this server */
export const socketAddress = (path) => new URL(OWN_SERVER + path, location.href).href.replace(/^http/, "ws");

/** @param {string} path */
export const text = async (path) => (await ask(path)).text();

/** @param {string} path */
export const blob = async (path) => (await ask(path)).blob();

/**
 * Events as they come (server-sent events, which `EventSource` could not ask for with a key).
 * @param {string} path @param {AbortSignal} signal @returns {AsyncGenerator<any>}
 */
export async function* events(path, signal) {
  const response = await ask(path, { signal });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5));
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}
