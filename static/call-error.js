/** What a person reads when a call cannot be, or is over; codes are for programs. @module */

export class CallError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** @type {Record<string, [string, string]>} */
const MICROPHONE_PROBLEMS = {
  NotAllowedError: [
    "microphone_refused",
    "Microphone access was denied. Allow it for this page in the browser's address bar, then call again.",
  ],
  NotFoundError: ["no_microphone", "No microphone was found. Plug one in and call again."],
  OverconstrainedError: ["no_microphone", "That microphone is not there any more. Choose another one."],
  NotReadableError: ["microphone_busy", "The microphone cannot be opened; another program may be using it."],
};

/** What ended a call without anything being wrong. @type {Record<string, string>} */
export const ENDINGS = {
  agent_hangup: "The agent hung up.",
  forwarded: "The call was transferred.",
  max_duration: "The call reached its time limit.",
  silence: "The call ended because nobody spoke.",
};
/** What went wrong, where that ended a call. @type {Record<string, string>} */
export const FAILURES = {
  credits_exhausted: "There is no credit left for calls.",
  idle_timeout: "The server received no sound any more and hung up.",
  internal_error: "Something went wrong on the server, so the call ended.",
  server_shutdown: "The server was stopped.",
};

/** What the server answered instead of what was asked for. @param {any} body */
export function refusal(body) {
  return new CallError(
    body?.error?.code ?? "bad_answer",
    body?.error?.message ?? "The server's answer could not be read. Is this address a media-server?",
  );
}

/** @param {MediaTrackConstraints} constraints @returns {Promise<MediaStream>} @throws {CallError} */
export async function openMicrophone(constraints) {
  if (!navigator.mediaDevices) {
    throw new CallError(
      "insecure_page",
      "Browsers give the microphone to encrypted pages only. Open this page over https:// or, on the server itself, as http://localhost.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    const [code, message] = MICROPHONE_PROBLEMS[name] ?? [
      "microphone_failed",
      `The microphone cannot be used (${name || error}).`,
    ];
    throw Object.assign(new CallError(code, message), { cause: error });
  }
}
