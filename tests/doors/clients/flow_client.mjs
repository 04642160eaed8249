// A program for Speechmatics Flow, written with its own package: flow_client.mjs URL KEY WAV. Prints what it is told, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const { FlowClient } = require("@speechmatics/flow-client");

const [url, key, path] = process.argv.slice(2);
const wav = readFileSync(path);
const rate = wav.readUInt32LE(24);
const sound = new Int16Array(wav.buffer.slice(wav.byteOffset + 44));

const client = new FlowClient(url, { appId: "test", websocketBinaryType: "arraybuffer" });
let received = 0;
let said = false;
let answered;
const answer = new Promise((resolve) => (answered = resolve));
client.addEventListener("message", ({ data }) => {
  if (data.message !== "AudioAdded") console.log(JSON.stringify(data));
  if (data.message === "ResponseCompleted") said = true;
  // a reply may have several responses: it is over when the agent listens again
  if (said && data.type === "status_update" && data.event.status === "listening") answered();
});
client.addEventListener("agentAudio", ({ data }) => (received += data.byteLength));

await client.startConversation(key, {
  config: { template_id: "flow-service-assistant-humphrey", template_variables: {} },
  audioFormat: { type: "raw", encoding: "pcm_s16le", sample_rate: rate },
});
const chunk = rate / 10;
const padded = new Int16Array(sound.length + rate);
padded.set(sound);
for (let at = 0; at < padded.length; at += chunk) {
  client.sendAudio(padded.slice(at, at + chunk).buffer);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 10000))]);
client.endConversation();
console.log(JSON.stringify({ message: "AudioReceivedInAll", bytes: received }));
setTimeout(() => process.exit(0), 500);
