/** How loud a stream is, measured by Web Audio. @module */

const FLOOR_DB = -60;
const FALL = 0.9;
const VOICE_HZ = 5000;

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
    /** @type {Uint8Array<ArrayBuffer> | null} */
    this.spectrum = null;
  }

  /** From 0 to 1, in decibels; rises at once and falls slowly, as people expect of a meter. */
  get level() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const rms = Math.sqrt(this.samples.reduce((sum, x) => sum + x * x, 0) / this.samples.length);
    const level = Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms + 1e-9)) / FLOOR_DB));
    this.shown = Math.max(level, this.shown * FALL);
    return this.shown;
  }

  /** How loud each part of the spectrum is that voices fill, low to high, each from 0 to 1. @param {number} count @returns {number[]} */
  bands(count) {
    this.spectrum ??= new Uint8Array(this.analyser.frequencyBinCount);
    this.analyser.getByteFrequencyData(this.spectrum);
    const width = (VOICE_HZ * this.analyser.fftSize) / this.source.context.sampleRate;
    return Array.from({ length: count }, (_, i) => {
      // narrower bands for lower tones, as ears have them
      const from = Math.floor(width * (i / count) ** 1.5);
      const to = Math.max(from + 1, Math.floor(width * ((i + 1) / count) ** 1.5));
      let sum = 0;
      for (let bin = from; bin < to; bin++) sum += /** @type {Uint8Array} */ (this.spectrum)[bin];
      return sum / (to - from) / 255;
    });
  }

  stop() {
    this.source.disconnect();
  }
}
