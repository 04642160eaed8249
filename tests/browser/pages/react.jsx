import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { VoiceProvider, VoiceWidget, useVoice } from "media-server-browser/react";

function Talk() {
  const { connectionState, messages, error, connect, disconnect, isMicEnabled, toggleMicrophone } = useVoice();
  return (
    <>
      <p role="status">{connectionState}</p>
      <button onClick={connect}>Call</button>
      <button onClick={disconnect}>Hang up</button>
      <button onClick={toggleMicrophone}>{isMicEnabled ? "Mute" : "Unmute"}</button>
      <p role="alert">{error}</p>
      <ul>{messages.map((m) => <li key={m.id}>{`${m.role}: ${m.text}`}</li>)}</ul>
    </>
  );
}

function App() {
  const [status, setStatus] = useState("");
  return (
    <main>
      <VoiceProvider agent="open" server="SERVER" metadata={{ from: "react" }}>
        <Talk />
      </VoiceProvider>
      <VoiceWidget agent="open" server="SERVER" label="Ask us" onStatusChange={setStatus} />
      <p id="widget">{status}</p>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<StrictMode><App /></StrictMode>);
