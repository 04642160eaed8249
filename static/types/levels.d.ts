/** Read `level` at each frame that is drawn. */
export class Level {
    /** @param {MediaStream} stream @param {AudioContext} audio */
    constructor(stream: MediaStream, audio: AudioContext);
    source: MediaStreamAudioSourceNode;
    analyser: AnalyserNode;
    samples: Float32Array<ArrayBuffer>;
    shown: number;
    /** From 0 to 1, in decibels; rises at once and falls slowly, as people expect of a meter. */
    get level(): number;
    stop(): void;
}
