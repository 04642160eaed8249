"""The types of `room.js`: what listeners are given is known by the event, also to strict compilers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.fetched import from_npm

TYPES = Path(__file__).parents[2] / "static" / "types"
PAGE = """
import { ConnectionState, Room, RoomEvent } from "livekit-client";

let state: ConnectionState = "disconnected";
const room = new Room();
room
  .on(RoomEvent.ConnectionStateChanged, (now) => { state = now; })
  .on(RoomEvent.Disconnected, (reason) => { const why: string = reason ?? "left"; console.log(why); })
  .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
    document.body.append(track.attach());
    console.log(publication.trackSid, participant.identity);
  })
  .on(RoomEvent.DataReceived, (payload) => { console.log(new TextDecoder().decode(payload)); })
  .once("audioPlaybackChanged", (playing) => { const can: boolean = playing; console.log(can, state); })
  .on("of another version", (anything) => { console.log(anything); });
// @ts-expect-error what is given is known
room.on(RoomEvent.TrackSubscribed, (track) => { track.dance(); });
"""


async def test_listeners_know_what_they_are_given(tmp_path: Path) -> None:
    npm = from_npm("typescript", "typescript@5.9.3")
    (tmp_path / "page.ts").write_text(PAGE)
    options = {"strict": True, "noEmit": True, "target": "es2022", "module": "esnext", "moduleResolution": "bundler"}
    options |= {"skipLibCheck": True, "paths": {"livekit-client": [str(TYPES / "room.d.ts")]}}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["page.ts"]}))
    compiler = npm / "node_modules" / "typescript" / "bin" / "tsc"
    process = await asyncio.create_subprocess_exec(
        "node", str(compiler), "-p", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        printed, _ = await process.communicate()
    assert (process.returncode, printed.decode()) == (0, "")
