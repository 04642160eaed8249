"""Offers in the shape of those of real clients, written anew: what each has in common with others stands once."""

from __future__ import annotations

__all__ = ["CLIENTS", "REJECTED_BY_SHAPE", "SHAPES", "offer"]

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(f"{i:02X}" for i in range(32))
ICE = ["a=ice-ufrag:4ZcD", "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlDJ"]
HOST = "a=candidate:1 1 udp 2122260223 192.0.2.33 54321 typ host generation 0 ufrag 4ZcD network-id 1"
LOCAL = "a=candidate:1 1 udp 2113937151 0d3e2d5e-7bfa-4a8c-9a0b-1b1e0bc2a3f0.local 54321 typ host"


def offer(*parts: list[str] | str, session: list[str] | None = None) -> str:
    lines = ["v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", *(session or [])]
    for part in parts:
        lines += [part] if isinstance(part, str) else part
    return "\r\n".join(lines) + "\r\n"


def transport(setup: str = "actpass", *more: str) -> list[str]:
    return [*ICE, FINGERPRINT, f"a=setup:{setup}", *more]


def audio(payloads: str, *lines: str, port: int = 9, mid: str = "0") -> list[str]:
    return [f"m=audio {port} UDP/TLS/RTP/SAVPF {payloads}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=rtcp-mux", *lines]


def data(mid: str = "1", port: int = 9, *lines: str) -> list[str]:
    return [f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", f"a=mid:{mid}",
            "a=sctp-port:5000", *lines]  # fmt: skip


def bundle(*mids: str) -> list[str]:
    return [f"a=group:BUNDLE {' '.join(mids)}"]


OPUS = ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"]
SSRC = ["a=ssrc:1001 cname:x", "a=ssrc:1001 msid:- y"]

CHROMIUM = offer(
    audio(
        "111 63 9 0 8 13 110 126", "a=rtcp:9 IN IP4 0.0.0.0", *transport("actpass", "a=ice-options:trickle"),
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=sendrecv", "a=msid:- 6f1c", "a=rtcp-rsize", *OPUS,
        "a=rtcp-fb:111 transport-cc", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000", *SSRC, LOCAL,
    ),
    data("1", 9, *transport("actpass", "a=ice-options:trickle"), "a=max-message-size:262144"),
    session=[*bundle("0", "1"), "a=extmap-allow-mixed", "a=msid-semantic: WMS"],
)  # fmt: skip
FIREFOX = offer(
    audio(
        "109 9 0 8 101", "a=sendrecv", "a=end-of-candidates", "a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
        "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1", "a=fmtp:101 0-15", *ICE, "a=msid:{a} {b}",
        "a=rtpmap:109 opus/48000/2", "a=rtpmap:9 G722/8000/1", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000/1", "a=setup:actpass", "a=ssrc:1001 cname:{c}", HOST, port=54321,
    ),
    data("1", 0, "a=bundle-only", "a=sendrecv", "a=max-message-size:1073741823"),
    session=["a=sendrecv", FINGERPRINT, *bundle("0", "1"), "a=ice-options:trickle", "a=msid-semantic:WMS *"],
)  # fmt: skip
SAFARI = offer(
    audio("111 63 9 0 8 13 110 126", *transport(), "a=sendrecv", *OPUS, "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111",
          "a=rtpmap:9 G722/8000", "a=rtpmap:110 telephone-event/48000", *SSRC),
    data("1", 9, *transport(), "a=max-message-size:262144"),
    session=bundle("0", "1"),
)  # fmt: skip
OBS = offer(
    audio("111", *transport("actpass", HOST), "a=sendonly", "a=msid:stream audio", "a=rtpmap:111 OPUS/48000/2",
          "a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1", "a=ssrc:1001 cname:obs"),
    ["m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=mid:1", "a=sendonly", *transport(), "a=rtcp-mux",
     "a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=640c1f;packetization-mode=1", "a=ssrc:1002 cname:obs"],
    session=[*bundle("0", "1"), "a=group:LS 0 1", "a=msid-semantic:WMS *"],
)  # fmt: skip
GSTREAMER = offer(
    ["m=audio 9 UDP/TLS/RTP/SAVPF 97", "c=IN IP4 0.0.0.0", "a=setup:actpass", *ICE, "a=rtcp-mux", "a=rtcp-rsize",
     "a=sendonly", "a=rtpmap:97 OPUS/48000/2", "a=rtcp-fb:97 nack", "a=fmtp:97 sprop-stereo=0;sprop-maxcapturerate=48000",
     "a=ssrc:1001 msid:user0 webrtctransceiver0", "a=mid:audio0", FINGERPRINT],
    session=["a=ice-options:trickle", "a=group:BUNDLE audio0"],
)  # fmt: skip
PION = offer(
    audio("111 9 0 8", *ICE, "a=setup:actpass", *OPUS, "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
          "a=rtpmap:8 PCMA/8000", "a=ssrc:1001 cname:pion", "a=sendrecv", HOST, "a=end-of-candidates"),
    data("1", 9, "a=setup:actpass", "a=sendrecv", *ICE, "a=sctpmap:5000 webrtc-datachannel 1024"),
    session=[FINGERPRINT, "a=extmap-allow-mixed", *bundle("0", "1")],
).replace("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 DTLS/SCTP 5000")  # fmt: skip
LIBDATACHANNEL = offer(
    ["m=audio 54321 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 192.0.2.33", "a=mid:audio", "a=sendrecv", "a=ssrc:1001 cname:voice",
     "a=rtcp-mux", *OPUS, "a=setup:actpass", *ICE, FINGERPRINT, HOST],
    ["m=application 54321 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 192.0.2.33", "a=mid:data", "a=sendrecv",
     "a=sctp-port:5000", "a=max-message-size:262144", "a=setup:actpass", *ICE, FINGERPRINT],
    session=["a=group:BUNDLE audio data", "a=group:LS audio data", "a=msid-semantic:WMS *", "a=ice-options:ice2,trickle"],
)  # fmt: skip
AIORTC = offer(
    ["m=audio 54321 UDP/TLS/RTP/SAVPF 96 9 0 8", "c=IN IP4 192.0.2.33", "a=sendrecv", "a=mid:0", "a=msid:s t",
     "a=rtcp:9 IN IP4 0.0.0.0", "a=rtcp-mux", "a=ssrc:1001 cname:x", "a=rtpmap:96 opus/48000/2",
     "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", HOST, "a=end-of-candidates", *ICE,
     FINGERPRINT, FINGERPRINT.replace("256", "384").replace("1F", "1F:20"), "a=setup:actpass"],
    ["m=application 54321 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 192.0.2.33", "a=mid:1", "a=sctp-port:5000",
     "a=max-message-size:262144", *ICE, FINGERPRINT, "a=setup:actpass"],
    session=bundle("0", "1"),
)  # fmt: skip
LIVEKIT = offer(
    data("0", 9, *transport(), "a=max-message-size:262144"),
    audio("111 63", *transport(), "a=sendonly", "a=msid:- mic", *OPUS, "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111",
          *SSRC, mid="1"),
    session=bundle("0", "1"),
)  # fmt: skip
PIPECAT = offer(
    audio("111 63 9 0 8", *transport(), "a=sendrecv", *OPUS, "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", *SSRC),
    ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", *transport(), "a=mid:1", "a=sendrecv", "a=rtcp-mux",
     "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"],
    ["m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", *transport(), "a=mid:2", "a=inactive", "a=rtcp-mux",
     "a=rtpmap:96 VP8/90000"],
    data("3", 9, *transport(), "a=max-message-size:262144"),
    session=bundle("0", "1", "2", "3"),
)  # fmt: skip
CLIENTS = {
    "Chromium": CHROMIUM, "Firefox, max-bundle": FIREFOX, "Safari": SAFARI, "OBS over WHIP": OBS,
    "GStreamer's whipclientsink": GSTREAMER, "Pion": PION, "libdatachannel": LIBDATACHANNEL, "aiortc": AIORTC,
    "LiveKit's publisher": LIVEKIT, "Pipecat's SmallWebRTC client": PIPECAT,
}  # fmt: skip

VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 45", "c=IN IP4 0.0.0.0", "a=mid:9", "a=rtpmap:45 AV1/90000", *transport()]
MIC = audio("111", *transport(), "a=sendonly", *OPUS, *SSRC, mid="mic")
EAR = audio("111", *transport(), "a=recvonly", *OPUS, mid="ear")
BOTH = audio("111", *transport(), "a=sendrecv", *OPUS, *SSRC)
SHAPES = {
    "fmtp without rtpmap": (offer(audio("111 0 18", *transport(), "a=fmtp:18 annexb=no", *OPUS)), "sendrecv"),
    "bundle-only data channel": (
        offer(BOTH, data("1", 0, "a=bundle-only"), session=bundle("0", "1")), "sendrecv accepted"),
    "audio is bundle-only": (
        offer(data("1", 9, *transport()), audio("111", "a=bundle-only", "a=sendrecv", *OPUS, port=0),
              session=bundle("1", "0")), "accepted sendrecv"),
    "AV1 first": (offer(VIDEO, BOTH, session=bundle("9", "0")), "rejected sendrecv"),
    "rejected video": (offer(BOTH, VIDEO[:1] + VIDEO[1:]).replace("m=video 9", "m=video 0"), "sendrecv rejected"),
    "text, image and BFCP": (
        offer(BOTH, "m=text 9 UDP/TLS/RTP/SAVPF 98", "a=mid:t", "m=image 9 udptl t38", "a=mid:i",
              "m=application 9 UDP/TLS/BFCP *", "a=mid:b", session=bundle("0", "t", "i", "b")),
        "sendrecv rejected rejected rejected"),
    "no direction": (offer(audio("111", *transport(), *OPUS)), "sendrecv"),
    "direction of the session": (offer(audio("111", *transport(), *OPUS), session=["a=sendonly"]), "recvonly"),
    "microphone, then agent": (offer(MIC, EAR, session=bundle("mic", "ear")), "recvonly sendonly"),
    "agent, then microphone": (offer(EAR, MIC, session=bundle("ear", "mic")), "sendonly recvonly"),
    "the first one inactive": (
        offer(audio("111", *transport(), "a=inactive", *OPUS, mid="x"), BOTH, session=bundle("x", "0")),
        "inactive sendrecv"),
    "the first one rejected": (
        offer(audio("111", *transport(), *OPUS, port=0, mid="x"), BOTH, session=bundle("x", "0")), "rejected sendrecv"),
    "the first one without a common codec": (
        offer(audio("97", *transport(), "a=rtpmap:97 speex/16000", mid="x"), BOTH, session=bundle("x", "0")),
        "rejected sendrecv"),
    "send-only": (offer(MIC), "recvonly"),
    "receive-only": (offer(EAR), "sendonly"),
    "inactive": (offer(audio("111", *transport(), "a=inactive", *OPUS)), "inactive"),
    "G.711 only": (offer(audio("0 8", *transport(), "a=sendrecv")), "sendrecv"),
    "G.722 only": (offer(audio("9", *transport(), "a=sendrecv")), "sendrecv"),
    "all at the session level": (
        offer(audio("111", *OPUS), data(), session=[*bundle("0", "1"), *transport()]), "sendrecv accepted"),
    "unknown mids in the bundle": (offer(BOTH, session=bundle("7", "0", "8", "0")), "sendrecv"),
    "the data channel is not bundled": (offer(BOTH, data("1", 9, *transport())), "sendrecv rejected"),
    "no mid": (offer(BOTH).replace("a=mid:0\r\n", ""), "sendrecv"),
    "two groups": (offer(BOTH, MIC, session=[*bundle("mic"), *bundle("0")]), "sendrecv rejected"),
    "lines end in a line feed alone": (offer(BOTH).replace("\r\n", "\n"), "sendrecv"),
    "thirty sections": (
        offer(BOTH, *([VIDEO[0], f"a=mid:v{n}", *VIDEO[2:]] for n in range(29))), "sendrecv" + " rejected" * 29),
    "data channels that are closed": (
        offer(BOTH, data(), session=bundle("0", "1")).replace("a=sctp-port:5000", "a=sctp-port:0"), "sendrecv rejected"),
    "data channels on no port of SCTP": (
        offer(BOTH, data(), session=bundle("0", "1")).replace("a=sctp-port:5000", "a=sctp-port:70000"),
        "sendrecv rejected"),
    "a payload type of RTCP beside one of RTP": (
        offer(audio("72 0", *transport(), "a=rtpmap:72 opus/48000/2")), "sendrecv"),
    "simulcast, rid and mixed extensions": (
        offer(BOTH, [*VIDEO, "a=rid:h send", "a=simulcast:send h"], session=[*bundle("0", "9"), "a=extmap-allow-mixed"]),
        "sendrecv rejected"),
    "keys of SDES beside DTLS": (
        offer(audio("111", *transport(), *OPUS, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGw")), "sendrecv"),
    "a mid of odd characters": (
        offer(audio("111", *transport(), *OPUS, mid="au~d!o.{1}"), session=bundle("au~d!o.{1}")), "sendrecv"),
    "format parameters that say nothing": (
        offer(audio("111", *transport(), *OPUS[:1], "a=fmtp:111 ;;minptime = 10;useinbandfec;x=y=z;;", "a=fmtp:",
                    "a=rtcp-fb", "a=ssrc:99999999999 cname:x", "a=")), "sendrecv"),
}  # fmt: skip
REJECTED_BY_SHAPE = {
    "no audio": (offer(data("0", 9, *transport())), "no_audio"),
    "audio is rejected": (offer(audio("111", *transport(), *OPUS, port=0)), "no_audio"),
    "no common codec": (offer(audio("97", *transport(), "a=rtpmap:97 speex/16000")), "no_common_codec"),
    "no fingerprint": (offer(audio("111", *ICE, *OPUS)), "bad_sdp"),
    "an MD5 fingerprint": (offer(audio("111", *ICE, "a=fingerprint:md5 " + "AB:" * 15 + "AB", *OPUS)), "bad_sdp"),
    "a SHA-256 fingerprint of another length": (
        offer(audio("111", *ICE, "a=fingerprint:sha-256 " + "AB:" * 19 + "AB", *OPUS)),
        "bad_sdp",
    ),
    "keys of SDES alone": (
        offer(audio("111", *ICE, *OPUS, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGw")),
        "bad_sdp",
    ),
    "a payload type of RTCP": (offer(audio("72", *transport(), "a=rtpmap:72 opus/48000/2")), "no_common_codec"),
    "a payload type that RTP has not": (
        offer(audio("128", *transport(), "a=rtpmap:128 opus/48000/2")),
        "no_common_codec",
    ),
    "no ICE": (offer(audio("111", FINGERPRINT, "a=setup:actpass", *OPUS)), "bad_sdp"),
}
