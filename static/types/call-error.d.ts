/** What the server answered instead of what was asked for. @param {any} body */
export function refusal(body: any): CallError;
/** @param {MediaTrackConstraints} constraints @returns {Promise<MediaStream>} @throws {CallError} */
export function openMicrophone(constraints: MediaTrackConstraints): Promise<MediaStream>;
/** What a person reads when something cannot be; `code` is for programs. @module */
export class CallError extends Error {
    /** @param {string} code @param {string} message */
    constructor(code: string, message: string);
    code: string;
}
