/** A level meter: the loudness of a stream as a bar. @module */

const FLOOR_DB = -60;

export class Meter {
  /** @param {HTMLElement} element its first child is the bar @param {MediaStream} stream @param {AudioContext} context */
  constructor(element, stream, context) {
    this.bar = /** @type {HTMLElement} */ (element.firstElementChild);
    this.source = context.createMediaStreamSource(stream);
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    this.shown = 0;
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const rms = Math.sqrt(this.samples.reduce((sum, x) => sum + x * x, 0) / this.samples.length);
    const level = Math.max(0, 1 - (20 * Math.log10(rms + 1e-9)) / FLOOR_DB);
    // rises at once, falls slowly, as people expect of a meter
    this.shown = Math.max(level, this.shown * 0.9);
    this.bar.style.transform = `scaleX(${Math.min(1, this.shown).toFixed(3)})`;
    this.frame = requestAnimationFrame(() => this.draw());
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.source.disconnect();
    this.bar.style.transform = "scaleX(0)";
  }
}
