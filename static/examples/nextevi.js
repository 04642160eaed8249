/** A conversation as NextEVI's published examples have it: PCM out, WAV files in, JSON beside both. @module */

import { buttons, problem, run, say, state } from "./page.js";

const RATE = 24000;
/** @type {WebSocket} */
let socket;
/** @type {AudioContext | undefined} */
let audio;
/** @type {MediaStream | undefined} */
let microphone;

async function call() {
  microphone = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  audio = new AudioContext({ sampleRate: RATE });
  await audio.audioWorklet.addModule(new URL("../pcm-worklet.js", import.meta.url));
  const query = new URLSearchParams({ api_key: "oak_any_while_there_are_no_keys", config_id: "assistant" });
  socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws/voice/conn-${Date.now()}?${query}`);
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = over;
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("The server does not answer."));
  });
  const settings = { turn_detection: { enabled: true } };
  const sound = { sample_rate: RATE, channels: 1, encoding: "linear16" };
  socket.send(
    JSON.stringify({ type: "session_settings", timestamp: Date.now() / 1000, data: { ...settings, audio: sound } }),
  );
  const capture = new AudioWorkletNode(audio, "capture");
  capture.connect(audio.destination);
  capture.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
  audio.createMediaStreamSource(microphone).connect(capture);
  state("connected");
}

/** @type {HTMLAudioElement | undefined} */
let playing;

/** @param {any} message */
function receive(message) {
  switch (message.type) {
    case "transcription":
      if (message.data.is_final) say("you", message.data.transcript);
      state(message.data.is_final ? "thinking" : "user_speaking");
      break;
    case "llm_response_chunk":
      if (message.data.is_final) say("agent", message.data.content);
      break;
    case "tts_chunk":
      state(message.is_last ? "listening" : "agent_speaking");
      if (message.is_last) break;
      playing = new Audio(
        URL.createObjectURL(
          new Blob([Uint8Array.from(atob(message.content), (c) => c.charCodeAt(0))], { type: "audio/wav" }),
        ),
      );
      void playing.play();
      break;
    case "tts_interruption":
      state("listening");
      playing?.pause();
      break;
    case "error":
      problem(message.data.error_message);
  }
}

function over() {
  for (const track of microphone?.getTracks() ?? []) track.stop();
  void audio?.close();
  state("disconnected");
  buttons(false);
}

run(call, () => socket.close());
