/** How loud a stream is, measured by Web Audio. @module */

const FLOOR_DB = -60;
const FALL = 0.9;

/** Read `level` at each frame that is drawn. */
export class Level {
  /** @param {MediaStream} stream @param {AudioContext} audio */
  constructor(stream, audio) {
    this.source = audio.createMediaStreamSource(stream);
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 1024;
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    this.shown = 0;
  }

  /** From 0 to 1, in decibels; rises at once and falls slowly, as people expect of a meter. */
  get level() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const rms = Math.sqrt(this.samples.reduce((sum, x) => sum + x * x, 0) / this.samples.length);
    const level = Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms + 1e-9)) / FLOOR_DB));
    this.shown = Math.max(level, this.shown * FALL);
    return this.shown;
  }

  stop() {
    this.source.disconnect();
  }
}
