/** The server's codes and figures in words for people. @module */

/** @type {Record<string, string>} */
const ENDED = {
  client_hangup: "Caller hung up",
  operator_hangup: "Hung up from the console",
  agent_hangup: "Agent hung up",
  forwarded: "Handed over",
  silence: "Nobody spoke",
  max_duration: "Reached its longest duration",
  credits_exhausted: "Credit used up",
  connection_lost: "Connection lost",
  idle_timeout: "Caller went away",
  connect_timeout: "Never connected",
  not_connected: "Never connected",
  server_shutdown: "Server was stopped",
  server_lost: "Server crashed",
  internal_error: "Server error",
};

/** @param {any} call @returns {string} */
export function ending(call) {
  if (call.status === "queued") return "Waiting for the caller";
  if (call.status === "active") return "In progress";
  return ENDED[call.end_reason] ?? call.end_reason ?? "Ended";
}

/** @param {string} reason */
export const reasonInWords = (reason) => ENDED[reason] ?? reason;

/** @param {number | null | undefined} ms @returns {string} */
export function wait(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {string} at RFC 3339 @returns {string} the time, with the day where it is not today */
export function when(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return today ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}
