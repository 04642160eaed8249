/** A conversation as Speechmatics Flow has it; `livekit-client` is this server's `room.js`. @module */

import { Room, RoomEvent } from "../room.js";
import { buttons, play, problem, run, say, state } from "./page.js";

/** @type {Room} */
let room;

/** @param {object} message */
const send = (message) =>
  room.localParticipant.publishData(new TextEncoder().encode(JSON.stringify(message)), { reliable: true });

async function call() {
  const answer = await fetch("/v1/flow/livekit", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      message: "StartConversation",
      conversation_config: { template_id: "flow-service-assistant-amelia", template_variables: {} },
    }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error.message);
  room = new Room();
  room.on(RoomEvent.ConnectionStateChanged, state);
  room.on(RoomEvent.TrackSubscribed, (/** @type {{mediaStream: MediaStream}} */ track) => play(track.mediaStream));
  room.on(RoomEvent.Disconnected, () => buttons(false));
  room.on(RoomEvent.DataReceived, (/** @type {Uint8Array} */ payload) => {
    const message = JSON.parse(new TextDecoder().decode(payload));
    switch (message.message) {
      case "AddTranscript":
        return say("you", message.metadata.transcript.trim());
      case "ResponseStarted":
        return say("agent", message.content);
      case "Warning":
      case "Error":
        return problem(message.reason);
      case "ConversationEnded":
        return void room.disconnect();
    }
  });
  await room.connect(body.url, body.token);
  await room.localParticipant.setMicrophoneEnabled(true, { echoCancellation: true, noiseSuppression: true });
}

run(call, () => void send({ message: "AudioEnded" }));
