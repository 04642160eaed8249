/** What the page asks the server for beside the call itself. @module */

import { CallError, refusal } from "../call-error.js";
import { OWN_SERVER } from "../own-server.js";

/**
 * @typedef {object} Card an agent as the page offers it
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {string[]} examples
 * @property {string} color
 * @property {string | null} language
 * @property {string} turns
 * @property {boolean} recording
 * @property {string[]} client_settings
 * @property {string[]} tools
 * @property {string[]} client_tools
 */
/** @typedef {{agents: Card[], notice: string, voices: string[], key_needed: boolean, signed_in: string | null, may_edit: boolean, ice_servers: RTCIceServer[], documents: boolean}} Playground */

/** @param {string} path @param {string} [method] @param {object} [body] @returns {Promise<any>} @throws {CallError} */
async function ask(path, method = "GET", body) {
  let response;
  try {
    const headers = body && { "Content-Type": "application/json" };
    response = await fetch(OWN_SERVER + path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new CallError("no_server", "The server does not answer. Is it still running?");
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw refusal(answer);
  return answer;
}

/** @returns {Promise<Playground>} */
export const playground = () => ask("/v1/playground");

/** @param {string} key */
export const signIn = (key) => ask("/v1/signin", "POST", { key });

export const signOut = () => ask("/v1/signin", "DELETE");

/** @param {string} agent */
export const settingsOf = (agent) => ask(`/v1/agents/${encodeURIComponent(agent)}`);

/** A token for a call with an agent that is changed for this call. @param {string} agent @param {object} changes */
export const tokenFor = (agent, changes) => ask("/v1/tokens", "POST", { agent, changes });

/** The address of a call's recording, once there is one. @param {string} callId @returns {Promise<string | null>} */
export async function recordingOf(callId) {
  for (const wait of [300, 700, 1500, 3000]) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const record = await ask(`/v1/calls/${encodeURIComponent(callId)}`).catch(() => null);
    if (!record) return null;
    if (record.ended_at && record.recording) return OWN_SERVER + record.recording;
  }
  return null;
}
