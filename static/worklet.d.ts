// What TypeScript's own library lacks of the AudioWorklet's scope (Web Audio API, section 1.32).
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
