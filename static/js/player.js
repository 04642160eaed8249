/** Listens in on a call: both sides, as the server mixes them. @module */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

$("call").textContent = decodeURIComponent(location.pathname.split("/")[2]);

async function listen() {
  const button = /** @type {HTMLButtonElement} */ ($("listen"));
  button.disabled = true;
  $("problem").textContent = "";
  const address = new URL(location.href.replace(/\/player/, "/ws"));
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  /** @type {AudioWorkletNode | undefined} */
  let playback;
  /** @type {AudioContext | undefined} */
  let audio;
  socket.onmessage = async ({ data }) => {
    if (typeof data === "string") {
      audio = new AudioContext({ sampleRate: JSON.parse(data).sampleRate });
      await audio.audioWorklet.addModule("/static/pcm-worklet.js");
      playback = new AudioWorkletNode(audio, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
      playback.connect(audio.destination);
      $("state").textContent = "Listening";
    } else if (data.byteLength > 2) {
      playback?.port.postMessage(data, [data]);
    }
  };
  socket.onclose = ({ wasClean }) => {
    void audio?.close();
    $("state").textContent = audio ? "The call is over." : "Not connected";
    if (!audio || !wasClean) $("problem").textContent = "There is no such call, or the token was used: ask for a new one.";
  };
}

$("listen").addEventListener("click", listen);
