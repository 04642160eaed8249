"""The private and undocumented names of libraries that the server leans on: an upgrade that moves them fails here.

Data channels and candidates (aiortc, aioice), and the engines: faster-whisper, CTranslate2, llama-cpp-python, Piper and
Silero's file. Those of media transport are in `rtc/test_contracts.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import llama_cpp
import numpy as np
import onnxruntime
import piper
from aioice import Connection
from aiortc import RTCCertificate, RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import InboundStream
from faster_whisper.tokenizer import Tokenizer
from piper.config import PhonemeType

from media_server.paths import BUNDLED_MODELS

STARTER = BUNDLED_MODELS / "starter"
ENGINES = Path(importlib.util.find_spec("media_server.engines").submodule_search_locations[0])  # type: ignore[union-attr, index]


class Pipe:
    """All that `RTCDtlsTransport` asks of its transport before it starts."""

    role = "controlled"


async def test_candidates_of_a_connection_are_gathered_by_component() -> None:
    connection = Connection(ice_controlling=False, components=1)
    assert connection._local_candidates == []
    assert connection._components == {1}
    found = await connection.get_component_candidates(component=1, addresses=["127.0.0.1"])
    assert [each.host for each in found] == ["127.0.0.1"]
    await connection.close()


async def test_what_data_channels_keep_is_bounded_by_names_of_sctp() -> None:
    certificate = RTCCertificate.generateCertificate()
    sctp: Any = RTCSctpTransport(RTCDtlsTransport(Pipe(), [certificate]))  # type: ignore[arg-type]
    for method in ("_handle_data", "_mark_received", "_receive_sack_chunk", "_get_inbound_stream"):
        assert callable(getattr(sctp, method)), method
    assert len(sctp._sack_misordered) == 0
    assert (dict(sctp._inbound_streams), list(sctp._sent_queue)) == ({}, [])
    assert sctp._advertised_rwnd > 0
    source = inspect.getsource(RTCSctpTransport)
    for call in ("self._mark_received(", "self._get_inbound_stream(", "self._receive_sack_chunk("):
        assert call in source, f"{call} is not looked up on the object any more"
    assert "._handle_data(" in inspect.getsource(RTCDtlsTransport)
    assert hasattr(InboundStream(), "reassembly")


def test_silero_s_network_is_a_file_of_faster_whisper() -> None:
    path = Path(faster_whisper.__file__).parent / "assets" / "silero_vad_v6.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["input", "h", "c"]
    state = np.zeros((1, 1, 128), np.float32)
    probability, h, c = session.run(None, {"input": np.zeros((1, 576), np.float32), "h": state, "c": state})
    assert (probability.size, h.shape, c.shape) == (1, state.shape, state.shape)
    assert 0 <= float(probability.item()) < 0.5


def test_whisper_is_asked_below_its_own_transcribe() -> None:
    whisper = faster_whisper.WhisperModel(str(STARTER / "stt"), device="cpu", compute_type="int8", cpu_threads=1)
    model = whisper.model
    assert isinstance(model, ctranslate2.models.Whisper)
    tokenizer = Tokenizer(whisper.hf_tokenizer, False, task="transcribe", language="en")
    assert tokenizer.timestamp_begin > tokenizer.eot > 0
    assert (tokenizer.language_code, whisper.hf_tokenizer.get_vocab_size() > tokenizer.eot) == ("en", True)
    prompt = whisper.get_prompt(tokenizer, [], without_timestamps=True, hotwords=None)
    mels = whisper.feature_extractor(np.zeros(16_000, np.float32), padding=0)
    assert mels.shape[0] == model.n_mels
    features = np.zeros((1, model.n_mels, 3000), np.float32)
    encoded = model.encode(ctranslate2.StorageView.from_array(features))
    (found,) = model.generate(
        encoded, [prompt], beam_size=1, max_length=len(prompt) + 4, return_scores=True, return_no_speech_prob=True
    )
    assert (len(found.scores), 0 <= found.no_speech_prob <= 1) == (1, True)
    assert isinstance(found.sequences_ids[0], list)
    assert isinstance(model.is_multilingual, bool)
    assert callable(model.detect_language)
    (words,) = whisper.find_alignment(tokenizer, [[tokenizer.eot - 1]], encoded, [100], median_filter_width=3)
    assert all({"word", "start", "end", "probability"} <= word.keys() for word in words)


def test_llama_cpp_has_every_name_that_engines_use() -> None:
    missing = set()
    for path in ENGINES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = {"lib": llama_cpp, "llama_cpp": llama_cpp}.get(node.value.id)
                if module and not hasattr(module, node.attr):
                    missing.add(f"{path.name}: {node.attr}")
    assert not missing
    assert llama_cpp.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY == 1
    parameters = llama_cpp.llama_context_default_params()
    for field in ("n_ctx", "n_batch", "n_seq_max", "n_threads", "flash_attn_type", "type_k", "type_v"):
        assert hasattr(parameters, field), field


def test_piper_speaks_phonemes_with_a_session_of_ours() -> None:
    config = piper.PiperConfig.from_dict(
        {
            "audio": {"sample_rate": 22050},
            "espeak": {"voice": "en-us"},
            "num_symbols": 3,
            "num_speakers": 1,
            "phoneme_type": "espeak",
            "phoneme_id_map": {"^": [1], "$": [2], "_": [0]},
            "inference": {"noise_scale": 0.6, "length_scale": 1.0, "noise_w": 0.8},
        }
    )
    assert (config.sample_rate, config.num_speakers, dict(config.speaker_id_map)) == (22050, 1, {})
    assert config.phoneme_type is PhonemeType.ESPEAK
    voice = piper.PiperVoice(session=None, config=config)
    (sentence,) = voice.phonemize("Hello.")
    assert all(isinstance(phoneme, str) for phoneme in sentence)
    assert "".join(sentence).endswith(".")
