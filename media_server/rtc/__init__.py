"""The media edge: one peer's microphone, speaker and events channel."""

from media_server.rtc.microphone import Frame, Microphone
from media_server.rtc.peer import Peer
from media_server.rtc.recording import Recorder
from media_server.rtc.speaker import Playback, Speaker, Speech, SpokenWord

__all__ = ["Frame", "Microphone", "Peer", "Playback", "Recorder", "Speaker", "Speech", "SpokenWord"]
