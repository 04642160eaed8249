/**
 * Sound between the page and a WebSocket, off the main thread: `capture` posts what the microphone hears as int16,
 * `playback` plays int16 that it is posted, and says how much it has still to play.
 * @module
 */

const REPORT_S = 0.1;
const PIECE_S = 0.02;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate * PIECE_S);
    this.piece = new Int16Array(this.size);
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    for (const sample of input[0] ?? []) {
      this.piece[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === this.size) {
        // it is given away, and has no length any more
        this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
        this.piece = new Int16Array(this.size);
        this.filled = 0;
      }
    }
    return true;
  }
}

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Int16Array[]} */
    this.queue = [];
    this.at = 0;
    this.waiting = 0;
    this.reported = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "clear") {
        this.queue = [];
        this.at = this.waiting = 0;
      } else {
        const samples = new Int16Array(data);
        this.queue.push(samples);
        this.waiting += samples.length;
      }
    };
  }

  /** @param {Float32Array[][]} _ @param {Float32Array[][]} outputs */
  process(_, [[out]]) {
    for (let i = 0; i < out.length && this.queue.length; i++) {
      out[i] = this.queue[0][this.at++] / 32768;
      this.waiting -= 1;
      if (this.at === this.queue[0].length) {
        this.queue.shift();
        this.at = 0;
      }
    }
    this.reported += out.length;
    if (this.reported >= sampleRate * REPORT_S) {
      this.reported = 0;
      this.port.postMessage(this.waiting / sampleRate);
    }
    return true;
  }
}

registerProcessor("capture", Capture);
registerProcessor("playback", Playback);
