/** What a person reads when something cannot be; `code` is for programs. @module */

export class CallError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** @type {Record<string, [string, string]>} */
const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["microphone_refused", "The microphone was refused. Allow it for this page in the browser's address bar, then call again."],
  NotFoundError: ["no_microphone", "No microphone was found. Plug one in and call again."],
  OverconstrainedError: ["no_microphone", "That microphone is not there any more. Choose another one."],
  NotReadableError: ["microphone_busy", "The microphone cannot be opened; another program may be using it."],
};

/** What the server answered instead of what was asked for. @param {any} body */
export function refusal(body) {
  return new CallError(body?.error?.code ?? "bad_answer", body?.error?.message ?? "The server gave an answer that makes no sense.");
}

/** @param {MediaTrackConstraints} constraints @returns {Promise<MediaStream>} @throws {CallError} */
export async function openMicrophone(constraints) {
  if (!navigator.mediaDevices) {
    throw new CallError("insecure_page", "Browsers give a microphone to secure pages only: open this page as http://localhost or over HTTPS.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    const [code, message] = MICROPHONE_PROBLEMS[name] ?? ["microphone_failed", `The microphone cannot be used (${name || error}).`];
    throw Object.assign(new CallError(code, message), { cause: error });
  }
}
