"""The media edge: a caller's microphone, speaker and messages, over WebRTC or a WebSocket."""

from media_server.rtc.edge import Edge, Ports
from media_server.rtc.formats import PcmFormat
from media_server.rtc.handset import Handset
from media_server.rtc.levels import LevelMeter
from media_server.rtc.microphone import Frame, Microphone
from media_server.rtc.pacing import PacedSound
from media_server.rtc.peer import Peer
from media_server.rtc.quality import LineCounts, LineQuality
from media_server.rtc.recording import Recorder
from media_server.rtc.socket import SocketLine, SocketWire
from media_server.rtc.speaker import Playback, Speaker, Speech, SpokenWord

__all__ = [
    "Edge",
    "Frame",
    "Handset",
    "LevelMeter",
    "LineCounts",
    "LineQuality",
    "Microphone",
    "PacedSound",
    "PcmFormat",
    "Peer",
    "Playback",
    "Ports",
    "Recorder",
    "SocketLine",
    "SocketWire",
    "Speaker",
    "Speech",
    "SpokenWord",
]
