/** Read `level` at each frame that is drawn. */
export class Level {
    /** @param {MediaStream} stream @param {AudioContext} audio */
    constructor(stream: MediaStream, audio: AudioContext);
    source: MediaStreamAudioSourceNode;
    analyser: AnalyserNode;
    samples: Float32Array<ArrayBuffer>;
    shown: number;
    /** @type {Uint8Array<ArrayBuffer> | null} */
    spectrum: Uint8Array<ArrayBuffer> | null;
    /** From 0 to 1, in decibels; rises at once and falls slowly, as people expect of a meter. */
    get level(): number;
    /** How loud each part of the spectrum is that voices fill, low to high, each from 0 to 1. @param {number} count @returns {number[]} */
    bands(count: number): number[];
    stop(): void;
}
