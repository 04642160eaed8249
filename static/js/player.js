/**
 * Listens in on a call: both sides, as the server mixes them. With a token for more than that somebody has the agent say
 * something, or takes the call over in their own voice.
 * @module
 */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));
const HIGHEST_RATE = 48_000;

/** @type {WebSocket | undefined} */
let socket;
/** What is open while this page's microphone is heard. @type {{audio: AudioContext, stream: MediaStream} | null} */
let speaking = null;

$("call").textContent = decodeURIComponent(location.pathname.split("/").at(-2) ?? "");

/** @param {string} text */
const problem = (text) => ($("problem").textContent = text);

async function listen() {
  const button = /** @type {HTMLButtonElement} */ ($("listen"));
  button.disabled = true;
  problem("");
  const address = new URL(location.href.replace(/\/player(?=$|[?#])/, "/ws"));
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  /** @type {AudioWorkletNode | undefined} */
  let playback;
  /** @type {AudioContext | undefined} */
  let audio;
  socket.onmessage = async ({ data }) => {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "error") return problem(message.message);
      audio = new AudioContext({ sampleRate: message.sampleRate });
      await audio.audioWorklet.addModule(new URL("../pcm-worklet.js", import.meta.url));
      playback = new AudioWorkletNode(audio, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
      playback.connect(audio.destination);
      $("state").textContent = "Listening";
      $("say").hidden = !message.scope;
      $("take").hidden = $("unless").hidden = message.scope !== "supervise";
    } else if (data.byteLength > 2) {
      playback?.port.postMessage(data, [data]);
    }
  };
  socket.onclose = ({ wasClean }) => {
    void audio?.close();
    close();
    $("say").hidden = $("take").hidden = true;
    $("state").textContent = audio ? "The call is over." : "Not connected";
    if (!audio || !wasClean) problem("There is no such call, or the token was used: ask for a new one.");
  };
}

/** @param {object} message */
const send = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

async function takeOver() {
  problem("");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  } catch (error) {
    return problem(`There is no microphone: ${error instanceof Error ? error.message : error}.`);
  }
  let audio = new AudioContext();
  if (audio.sampleRate > HIGHEST_RATE) {
    void audio.close();
    audio = new AudioContext({ sampleRate: HIGHEST_RATE });
  }
  speaking = { audio, stream };
  await audio.audioWorklet.addModule(new URL("../pcm-worklet.js", import.meta.url));
  const capture = new AudioWorkletNode(audio, "capture", { outputChannelCount: [1] });
  audio.createMediaStreamSource(stream).connect(capture);
  capture.connect(audio.destination); // silent; what leads nowhere is not run
  send({ action: "pause", sample_rate: audio.sampleRate });
  capture.port.onmessage = ({ data }) => speaking && socket?.readyState === WebSocket.OPEN && socket.send(data);
  show();
}

function giveBack() {
  close();
  send({ action: "resume" });
  show();
}

function close() {
  for (const track of speaking?.stream.getTracks() ?? []) track.stop();
  void speaking?.audio.close();
  speaking = null;
}

function show() {
  $("take").textContent = speaking ? "Give back" : "Take over";
  $("take").setAttribute("aria-pressed", String(!!speaking));
  $("state").textContent = speaking ? "The caller hears you" : "Listening";
}

$("listen").addEventListener("click", listen);
$("take").addEventListener("click", () => (speaking ? giveBack() : takeOver()));
$("say").addEventListener("submit", (e) => {
  e.preventDefault();
  const field = /** @type {HTMLInputElement} */ ($("say").querySelector("input"));
  if (field.value.trim()) send({ action: "say", text: field.value.trim() });
  field.value = "";
});
