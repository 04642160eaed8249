"""`call` and `chat`: talking with an agent from the command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_server.cli.options import command, server_options
from media_server.cli.parser import path, seconds
from media_server.cli.terminal import typed_lines
from media_server.cli.view import ChatView, SpokenView, print_event, print_json
from media_server.errors import MediaServerError

if TYPE_CHECKING:
    from media_server.audio import Samples
    from media_server.caller import Caller

__all__ = ["add"]

CALL = """\
Talk with an agent: by the microphone and the loudspeaker of this machine, or with --wav by a recording.

  media-server call                                     talk; Ctrl-C hangs up
  media-server call --agent order-desk --wav in.wav     speak a recording, once the agent has greeted
  media-server call --wav in.wav --out out.wav          and write the agent's voice to a file

Use headphones: nothing here keeps the agent's voice out of the microphone. A recording may be of any format and rate;
its call ends when the agent has been silent for a while after it.
"""

CHAT = """\
Talk with an agent in writing: a line is a turn, an empty one or Ctrl-D ends it. Tools are shown as they are used.
"""

GREETING_S = 0.7
"""Seconds within which an agent that greets has begun to."""
BEHIND_S = 0.2
"""Maximum seconds of the microphone's sound that wait for the network."""


def add(commands: Any) -> None:
    call = command(commands, "call", "talk with an agent by voice", CALL)
    server_options(call)
    call.add_argument("--agent", default="assistant", help="whom to call (%(default)s)")
    call.add_argument("--wav", type=path, metavar="FILE", help="speak this recording instead of the microphone")
    call.add_argument("--out", type=path, metavar="FILE", help="where the agent's voice is written, as WAV")
    call.add_argument("--microphone", metavar="NAME", help="which one: its number, or a part of its name")
    call.add_argument("--loudspeaker", metavar="NAME", help="which one: its number, or a part of its name")
    call.add_argument("--devices", action="store_true", help="list microphones and loudspeakers, and do nothing else")
    form = call.add_mutually_exclusive_group()
    form.add_argument("--events", action="store_true", help="print every event of the call with its fields")
    form.add_argument("--json", action="store_true", help="print every event as JSON, one a line")
    call.add_argument(
        "--silence",
        type=seconds("a silence", 3600),
        default=2.5,
        metavar="S",
        help="with --wav: hang up after this many seconds of nothing (%(default)s)",
    )
    call.add_argument(
        "--timeout",
        type=seconds("a duration", 86_400),
        default=120,
        metavar="S",
        help="with --wav: hang up after this many seconds in any case (%(default)s)",
    )
    call.set_defaults(run=_call)

    chat = command(commands, "chat", "talk with an agent in writing", CHAT)
    server_options(chat)
    chat.add_argument("--agent", default="assistant", help="with whom (%(default)s)")
    chat.set_defaults(run=_chat)


def _call(args: argparse.Namespace) -> int:
    if args.devices:
        from media_server.cli.soundcard import devices

        print(devices())
        return 0
    if args.out:
        _check_writable(args.out)
    return asyncio.run(_speak_recording(args) if args.wav else _talk(args))


def _check_writable(file: Path) -> None:
    """Raise where no sound could be written at the end of the call."""
    there = file.exists()
    try:
        file.open("ab").close()
        if not there:
            file.unlink()
    except OSError as e:
        raise MediaServerError("not_written", f"--out: {file} cannot be written: {e.strerror}.") from e


def _show(args: argparse.Namespace) -> Any:
    if args.json:
        return print_json
    return print_event if args.events else SpokenView(args.agent).show


@contextlib.asynccontextmanager
async def _calling(args: argparse.Namespace, on_sound: Callable[[Samples], None] = lambda _: None) -> Any:
    """A call while the block runs; what prevents one is raised as an error with the remedy."""
    import aiohttp

    from media_server.caller import Caller
    from media_server.client import unreachable

    show, task = _show(args), asyncio.current_task()
    unwritten: list[OSError] = []
    assert task is not None

    def on_event(event: dict[str, Any]) -> None:
        try:
            show(event)
        except OSError as e:  # nobody reads any more, or the disk is full: the call is over
            unwritten.append(e)
            task.cancel()

    caller = Caller(args.url, args.agent, auth=args.key)
    caller.verify, caller.on_event, caller.on_sound = not args.insecure, on_event, on_sound
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(caller)
        except (aiohttp.ClientError, ValueError) as e:
            raise unreachable(args.url, e) from e
        except TimeoutError as e:
            message = (
                f"No media connection to {args.url} came about. Does a firewall block its UDP and TCP port for calls?"
            )
            raise MediaServerError("no_connection", message) from e
        try:
            await caller.wait_for("call.started")
        except TimeoutError as e:
            raise MediaServerError("no_call", f"{args.url} has not begun the call. Its log may say why.") from e
        try:
            yield caller
        except asyncio.CancelledError:  # Ctrl-C, or what was said cannot be written
            if unwritten:
                caller.on_event = lambda _: None
            await _end(caller)
            if not unwritten:
                raise
            task.uncancel()
        if unwritten:
            raise unwritten[0]


async def _speak_recording(args: argparse.Namespace) -> int:
    from media_server.audio import CALL_RATE_HZ, read_wav, write_wav

    try:
        samples = read_wav(args.wav, CALL_RATE_HZ)
    except (OSError, ValueError) as e:
        reason = (isinstance(e, OSError) and e.strerror) or str(e)
        raise MediaServerError("bad_recording", f"Cannot read {args.wav}: {reason}.") from e
    async with _calling(args) as caller:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(args.timeout):
                await _silence(caller, GREETING_S)
                spoken = len(caller.events)
                await caller.speak(samples).finished.wait()
                await _silence(caller, args.silence)
        await _hang_up(args, caller)
        recording = caller.recording()
    if args.out:
        write_wav(args.out, recording, CALL_RATE_HZ)
    return 0 if caller.of("agent.speech_stopped", spoken) else 1


async def _silence(caller: Caller, silence_s: float) -> None:
    """Return when nothing has happened for `silence_s` while the agent only listens, or the call has ended."""
    while not (caller.of("call.ended") or caller.lost):
        count = len(caller.events)
        await asyncio.sleep(silence_s)
        states = caller.of("state.changed")
        if states and states[-1]["state"] == "listening" and len(caller.events) == count:
            return


async def _talk(args: argparse.Namespace) -> int:
    from media_server.audio import CALL_RATE_HZ, write_wav
    from media_server.cli.soundcard import Loudspeaker, microphone

    with Loudspeaker(args.loudspeaker) as loudspeaker:
        async with _calling(args, on_sound=loudspeaker.play) as caller:

            def take(samples: Samples) -> None:
                if caller.ahead_s < BEHIND_S:
                    caller.speak(samples)

            with microphone(args.microphone, take):
                if not (args.json or args.events):
                    print("Speak. Ctrl-C hangs up.", flush=True)
                try:
                    await caller.over()
                except asyncio.CancelledError:  # Ctrl-C
                    task = asyncio.current_task()
                    assert task is not None
                    task.uncancel()
                await _hang_up(args, caller)
            recording = caller.recording()
    if args.out:
        write_wav(args.out, recording, CALL_RATE_HZ)
    return 0


async def _hang_up(args: argparse.Namespace, caller: Caller) -> None:
    if caller.lost and not caller.of("call.ended"):
        if not (args.json or args.events):
            print(flush=True)  # the agent may have been speaking
        raise _lost(args)
    await _end(caller)


async def _end(caller: Caller) -> None:
    if not (caller.lost or caller.of("call.ended")):
        caller.send(type="call.end")
        with contextlib.suppress(TimeoutError):
            await caller.wait_for("call.ended", timeout_s=3)


def _chat(args: argparse.Namespace) -> int:
    return asyncio.run(_converse(args))


async def _converse(args: argparse.Namespace) -> int:
    import aiohttp

    from media_server.client import unreachable

    headers = {"Authorization": f"Bearer {args.key}"} if args.key else {}
    url = f"{args.url.rstrip('/')}/v1/chat"
    view = ChatView(args.agent)
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(url, params={"agent": args.agent}, ssl=not args.insecure) as socket,
        ):
            answers = _Answers()
            reading = asyncio.create_task(_type(socket, answers, view))
            try:
                async for message in socket:
                    event = json.loads(message.data)
                    view.show(event)
                    answers.note(event)
            except (asyncio.CancelledError, OSError):  # Ctrl-C, or nobody reads any more
                if not socket.closed:
                    await socket.send_json({"type": "call.end"})
                raise
            finally:
                reading.cancel()
    except aiohttp.WSServerHandshakeError as e:
        raise await _refused(args, e.status) from e
    except (aiohttp.ClientError, ValueError) as e:
        raise unreachable(args.url, e) from e
    if not answers.ended:
        raise _lost(args)
    return 0


def _lost(args: argparse.Namespace) -> MediaServerError:
    return MediaServerError("connection_lost", f"The connection to {args.url} was lost.")


async def _refused(args: argparse.Namespace, status: int) -> MediaServerError:
    """The reason why there is no conversation; a handshake that fails brings its status alone."""
    from media_server.client import ask, understood

    if status in (401, 403):
        return MediaServerError("refused", f"{args.url} asks for a key or a token: --key, or MEDIA_SERVER_KEY.")
    if status == 404:
        answer = await ask(args.url, "GET", "/v1/agents", key=args.key, verify=not args.insecure)
        with understood(args.url):
            names = ", ".join(agent["name"] for agent in answer["agents"])
        return MediaServerError("unknown_agent", f"There is no agent called {args.agent!r}. There are: {names}.")
    if status == 503:
        return MediaServerError("busy", f"{args.url} takes no call now: it loads its models, or all lines are in use.")
    return MediaServerError("no_server", f"{args.url} does not look like a media server (status {status}).")


class _Answers:
    """Whether the agent has greeted, whether it has answered the turn that was typed last, and whether all is over."""

    def __init__(self) -> None:
        self.ended = False
        self.greeted, self.answered = asyncio.Event(), asyncio.Event()
        self._turn_id = ""

    def note(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "turn.ended", "turn_id": turn_id}:
                self._turn_id = turn_id
            case {"type": "agent.text", "turn_id": turn_id}:
                self.greeted.set()
                if turn_id == self._turn_id:
                    self.answered.set()
            case {"type": "call.ended"}:
                self.ended = True


async def _type(socket: Any, answers: _Answers, view: ChatView) -> None:
    """Send what is typed, line by line, each when the one before is answered; the agent may greet first."""
    asks = sys.stdin.isatty()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(answers.greeted.wait(), GREETING_S)
    if asks:
        view.ask()
    async for line in typed_lines():
        if not line:
            break
        view.typed(line, is_seen=asks)
        answers.answered.clear()
        await socket.send_json({"type": "text.send", "text": line})
        await answers.answered.wait()
        if asks:
            view.ask()
    await socket.send_json({"type": "call.end"})
