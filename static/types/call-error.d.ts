/** What the server answered instead of what was asked for. @param {any} body */
export function refusal(body: any): CallError;
/** @param {MediaTrackConstraints} constraints @returns {Promise<MediaStream>} @throws {CallError} */
export function openMicrophone(constraints: MediaTrackConstraints): Promise<MediaStream>;
/** What a person reads when a call cannot be, or is over; codes are for programs. @module */
export class CallError extends Error {
    /** @param {string} code @param {string} message */
    constructor(code: string, message: string);
    code: string;
}
/** What ended a call without anything being wrong. @type {Record<string, string>} */
export const ENDINGS: Record<string, string>;
/** What went wrong, where that ended a call. @type {Record<string, string>} */
export const FAILURES: Record<string, string>;
