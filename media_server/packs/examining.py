"""What a file or folder that somebody already has is: a language model, a recogniser, a voice, a turn model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from media_server.packs.gguf import Gguf, parts_of, read_gguf
from media_server.packs.local import PackError
from media_server.packs.whisper_files import Whisper, read_ctranslate2, read_json

__all__ = ["Found", "Part", "examine"]

Part = Literal["stt", "llm", "tts", "turn", "embedding"]
USUAL_CONTEXT = 4096
NO_LANGUAGE_MODEL = {
    "clip": "is the part of a model that sees pictures (mmproj), which cannot answer alone",
    "mmproj": "is the part of a model that sees or hears (mmproj), which cannot answer alone",
    "adapter": "is an adapter (LoRA) for a language model, not one itself; merge it into its model first",
    "imatrix": "is a table for quantising a model, not a model",
    "vocab": "has a vocabulary only, and no weights",
}
NO_WEIGHTS = {
    b"version https://git-lfs": "is Git LFS's note of where the model is, not the model. Get it with: git lfs pull",
    b"<!doctype": "is a web page, not a model. Get the file itself from where it is offered for download.",
    b"<html": "is a web page, not a model. Get the file itself from where it is offered for download.",
}
"""What people get in place of a model, by how it begins."""
SUGGESTED = "A model is a GGUF file, a Piper voice (.onnx), Smart Turn (.onnx), or a folder with a Whisper."


@dataclass(frozen=True, slots=True)
class Found:
    """A model, and what a pack has to say of it."""

    part: Part
    id: str
    files: dict[str, Path]
    """Where each file is, by its path in a pack."""
    table: dict[str, Any]
    """The settings in `pack.toml`."""
    licence: str = "not known"
    facts: tuple[str, ...] = ()
    """What a person may want to know, each a few words."""
    convert_from: Path | None = None
    """A Transformers folder that has yet to be converted to the files of a recogniser."""


def examine(path: Path, part: Part | None = None) -> Found:
    """Find out what is at `path`.

    Args:
        part: what it is to be used as; found out where it is not given.

    Raises:
        PackError: it is nothing that a pack can have, or damaged, or not of that part; the message says which.
    """
    try:
        if not path.exists():
            raise PackError(f"There is no {path}.")
        found = _folder(path, part) if path.is_dir() else _file(path, part)
    except OSError as e:
        raise PackError(f"{path} cannot be read: {e.strerror or e}.") from e
    if part is not None and found.part != part:
        raise PackError(f"{path.name} is no {_named(part)} but a {_named(found.part)}.")
    return found


def _named(part: Part) -> str:
    named = {"stt": "recogniser", "llm": "language model", "tts": "voice", "turn": "turn model"}
    return named.get(part, "embedding model")


def _folder(path: Path, part: Part | None) -> Found:
    if (path / "model.bin").is_file():
        return _recogniser(path)
    if (path / "config.json").is_file():
        return _transformers(path)
    files = [p for p in sorted(path.iterdir()) if p.suffix in (".gguf", ".onnx")]
    firsts = [p for p in files if not re.search(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", p.name)]
    if len(firsts) == 1:
        return _file(firsts[0], part)
    if firsts:
        raise PackError(f"{path} has several models; name one of them: {', '.join(p.name for p in firsts[:8])}.")
    raise PackError(f"There is no model in {path}. {SUGGESTED}")


def _file(path: Path, part: Part | None) -> Found:
    if not path.is_file():  # a pipe would be waited for
        raise PackError(f"{path} is no file. {SUGGESTED}")
    with path.open("rb") as f:
        begin = f.read(64)
    if not begin:
        raise PackError(f"{path.name} is empty. Get it again.")
    for form, says in NO_WEIGHTS.items():
        if begin.lstrip().lower().startswith(form):
            raise PackError(f"{path.name} {says}")
    if begin[:4] == b"GGUF" or path.suffix == ".gguf":
        return _gguf(path, part)
    if path.suffix == ".onnx":
        return _onnx(path, part)
    if path.name == "model.bin" or path.name in ("model.safetensors", "config.json"):
        return _folder(path.parent, part)
    if path.name.endswith(".onnx.json"):
        return _file(path.with_name(path.name.removesuffix(".json")), part)
    if begin[:4] == b"lmgg":
        raise PackError(f"{path.name} is a model of whisper.cpp, which cannot be read. Take the same as CTranslate2's.")
    if begin[:2] == b"PK" and path.suffix in (".pt", ".bin", ".pth"):
        raise PackError(
            f"{path.name} has weights as torch saves them. Import the Transformers folder that it belongs to, saved as "
            "safetensors; a language model as GGUF."
        )
    if path.suffix == ".safetensors":
        raise PackError(f"{path.name} is not a recogniser. A language model is needed as GGUF (llama.cpp makes one).")
    if ".tar" in path.name:
        raise PackError(
            f"{path.name} is an archive. A bundle is put in place with: media-server models bundle install."
        )
    raise PackError(f"{path.name} is no model that is known. {SUGGESTED}")


def _gguf(path: Path, part: Part | None) -> Found:
    parts = parts_of(path)
    heads = [read_gguf(p) for p in parts]
    gguf = heads[0]
    kind = next((k for k in (gguf.architecture, gguf.metadata.get("general.type")) if k in NO_LANGUAGE_MODEL), None)
    if kind is None and not sum(h.tensors for h in heads):
        kind = "vocab"
    if kind is not None:
        raise PackError(f"{path.name} {NO_LANGUAGE_MODEL[str(kind)]}.")
    if not gguf.architecture:
        raise PackError(f"{path.name} does not say what kind of model it is (general.architecture). Get another one.")
    count = gguf.metadata.get("split.count", 1)
    if isinstance(count, int) and count > 1 and count != len(parts):
        raise PackError(f"{path.name} is one of {count} parts, but is not named so (…-00001-of-{count:05d}.gguf).")
    name = _id(re.sub(r"-\d{5}-of-\d{5}$", "", path.stem))
    at = {f"{'embedding' if part == 'embedding' else 'chat'}/{_safe(p.name)}": p for p in parts}
    licence = gguf.licence or "not known"
    if part == "embedding":
        if not gguf.makes_embeddings:
            raise PackError(f"{path.name} is not an embedding model.")
        shorter = {"context": gguf.context} if 64 <= gguf.context < 512 else {}
        return Found("embedding", name, at, {"path": next(iter(at)), **shorter}, licence)
    if gguf.makes_embeddings:
        raise PackError(
            f"{path.name} is an embedding model, which writes no answers. With --as embedding it is what documents "
            "are found by."
        )
    if gguf.template is None:
        raise PackError(
            f"{path.name} has no chat template: it seems to be a base model, which goes on with a text and answers "
            "nobody. Take its instruct or chat version."
        )
    context = min(gguf.context or USUAL_CONTEXT, USUAL_CONTEXT)
    if context < 256:
        raise PackError(f"{path.name} has a context of {context} tokens, which is too short for a conversation.")
    return Found("llm", name, at, {"path": next(iter(at)), "context": context}, licence, _llm_facts(gguf))


def _llm_facts(gguf: Gguf) -> tuple[str, ...]:
    facts = [f"{gguf.name or gguf.architecture} ({gguf.architecture})", f"trained on {gguf.context or '?'} tokens"]
    if per_token := gguf.cache_per_token:
        facts.append(f"{per_token / 1000:.0f} kB of memory for each token of a conversation")
    return tuple(facts)


def _recogniser(path: Path) -> Found:
    whisper = read_ctranslate2(path)
    names = [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "preprocessor_config.json",
        "vocabulary.json",
        "vocabulary.txt",
    ]
    files = {f"stt/{n}": path / n for n in names if (path / n).is_file()}
    return Found("stt", _id(path.resolve().name), files, _stt_table(whisper.english_only), facts=_stt_facts(whisper))


def _stt_table(english_only: bool) -> dict[str, Any]:
    return {"path": "stt", **({"language": "en"} if english_only else {})}


def _stt_facts(whisper: Whisper) -> tuple[str, ...]:
    return ("English only" if whisper.english_only else "several languages",)


def _transformers(path: Path) -> Found:
    config = read_json(path / "config.json")
    kind = config.get("model_type")
    if kind != "whisper":
        if "adapter" in str(config.get("peft_type", "")) or (path / "adapter_config.json").is_file():
            raise PackError(f"{path} has an adapter (LoRA) only; merge it into its model first.")
        raise PackError(
            f"{path} has a model of the type {str(kind)[:60]!r}. Of Transformers' folders only Whisper's can be "
            "imported; a language model is needed as GGUF (llama.cpp makes one of such a folder)."
        )
    weights = sorted(p.name for p in path.glob("*.safetensors"))
    if not weights and (path / "pytorch_model.bin").is_file():
        raise PackError(
            f"{path} has its weights in pytorch_model.bin, which only torch can read. Save it again where torch is: "
            "WhisperForConditionalGeneration.from_pretrained(folder).save_pretrained(other, safe_serialization=True)."
        )
    if not weights:
        raise PackError(f"{path} has no weights (model.safetensors).")
    size = config.get("vocab_size")
    whisper = Whisper(size if isinstance(size, int) else 0)
    table = _stt_table(whisper.english_only)
    return Found("stt", _id(path.resolve().name), {}, table, facts=_stt_facts(whisper), convert_from=path)


def _onnx(path: Path, part: Part | None) -> Found:
    beside = path.with_name(path.name + ".json")
    if part == "tts" and not beside.is_file():
        raise PackError(f"{path.name} lacks {beside.name} beside it, which says how the voice is to be used.")
    with _session(path) as inputs:
        if beside.is_file():
            return _voice(path, beside, inputs)
        shape = next(iter(inputs.values()), ())
        if len(shape) == 3 and list(shape[-2:]) == [80, 800]:
            return Found(
                "turn", _id(path.stem), {f"turn/{_safe(path.name)}": path}, {"path": f"turn/{_safe(path.name)}"}
            )
    if {"input", "input_lengths", "scales"} <= inputs.keys():
        raise PackError(f"{path.name} is a voice, but {beside.name}, which says how it is used, is not beside it.")
    raise PackError(f"{path.name} is neither a Piper voice nor Smart Turn v3: it takes {', '.join(inputs)}.")


@contextmanager
def _session(path: Path) -> Iterator[dict[str, Any]]:
    """The inputs of an ONNX file, after loading it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # what the library raises are bare Exceptions
        raise PackError(f"{path.name} is damaged or not complete: it cannot be loaded as ONNX. Get it again.") from e
    yield {i.name: i.shape for i in session.get_inputs()}


def _voice(path: Path, beside: Path, inputs: dict[str, Any]) -> Found:
    config = read_json(beside)
    audio, ids = config.get("audio"), config.get("phoneme_id_map")
    rate = audio.get("sample_rate") if isinstance(audio, dict) else None
    if (
        not isinstance(rate, int)
        or not isinstance(ids, dict)
        or not {"input", "input_lengths", "scales"} <= inputs.keys()
    ):
        raise PackError(f"{beside.name} does not describe a Piper voice, or {path.name} is none.")
    if not ids.get("^") or not ids.get("$"):
        raise PackError(f"{beside.name} has no marks for the beginning and the end of a sentence (^ and $).")
    if not 4000 <= rate <= 192_000:
        raise PackError(f"{beside.name} says {rate} Hz; voices have 4000 to 192000.")
    phonemes = config.get("phoneme_type") or "espeak"
    if phonemes not in ("espeak", "text"):
        raise PackError(f"{beside.name} wants phonemes of the type {str(phonemes)[:40]!r}, which cannot be made.")
    speakers = config.get("num_speakers", 1)
    if not isinstance(speakers, int):
        raise PackError(f"{beside.name} is damaged: its `num_speakers` is no number.")
    if not isinstance(config.get("inference", {}), dict):
        raise PackError(f"{beside.name} is damaged: its `inference` is no table.")
    if speakers > 1 and "sid" not in inputs:
        raise PackError(f"{beside.name} says {speakers} speakers, but {path.name} takes no speaker.")
    language = config.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    code = code or (config.get("espeak") or {}).get("voice", "?")
    name = f"voice/{_safe(path.name)}"
    counted = "1 speaker" if speakers <= 1 else f"{speakers} speakers"
    facts = (f"language {code}", f"{rate} Hz", counted, f"phonemes by {phonemes}")
    return Found("tts", _id(path.stem), {name: path, f"{name}.json": beside}, {"path": name}, facts=facts)


def _safe(name: str) -> str:
    """A file's name as a pack may have it."""
    return re.sub(r"[^A-Za-z0-9_. -]", "_", name).lstrip(". ") or "model"


def _id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:64] or "model"
