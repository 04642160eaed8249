from __future__ import annotations

import pytest

from media_server.packs.catalogue import KINDS, Catalogue, CatalogueError, Kind, Model, builtin_catalogue

CATALOGUE = builtin_catalogue()
ALL = [(kind, model) for kind in KINDS for model in CATALOGUE.models(kind)]


def test_ids_are_unique() -> None:
    for kind in KINDS:
        ids = [m.id.lower() for m in CATALOGUE.models(kind)]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("kind", "model"), ALL, ids=lambda x: x if isinstance(x, str) else x.id)
def test_every_model_is_pinned_and_has_the_files_of_its_kind(kind: Kind, model: Model) -> None:
    names = [f.path.rpartition("/")[2] for f in model.files]
    assert len(names) == len(set(names))
    assert model.licence
    if kind == "stt":
        assert {"config.json", "model.bin", "tokenizer.json"} < set(names)
        assert any(n.startswith("vocabulary.") for n in names)
    elif kind == "tts":
        assert sorted(n.removesuffix(".json") for n in names) == [names[0]] * 2
        assert names[0].endswith(".onnx")
    else:
        assert all(n.endswith(".onnx" if kind == "turn" else ".gguf") for n in names)
    if kind == "llm":
        assert model.thinking is not None


def test_packs_are_made_of_models_whose_commercial_use_is_allowed_and_whose_files_have_a_sha256() -> None:
    assert [p.name for p in CATALOGUE.packs] == ["small", "medium", "gpu", "gpu-large"]
    for recipe in CATALOGUE.packs:
        members = recipe.members(CATALOGUE)
        assert [part for part, _ in members] == ["stt", "llm", "tts", "embedding", "turn"]
        for _, model in members:
            assert (model.commercial_use, model.by_md5_only) == ("yes", False)


@pytest.mark.parametrize(
    ("name", "at_least_gb", "at_most_gb"),
    [("small", 1.4, 2.5), ("medium", 3.5, 4), ("gpu", 16, 21), ("gpu-large", 20, 22)],
)  # fmt: skip
def test_packs_are_as_large_as_their_machines_bear(name: str, at_least_gb: float, at_most_gb: float) -> None:
    recipe = CATALOGUE.recipe(name)
    assert recipe is not None
    assert at_least_gb <= sum(m.size for _, m in recipe.members(CATALOGUE)) / 1e9 <= at_most_gb


def test_a_model_is_found_by_its_id_and_by_any_part_that_fits_it_alone() -> None:
    find = CATALOGUE.find
    assert find("llm", "qwen3-4b-instruct-2507").id == "qwen3-4b-instruct-2507-q4_k_m"
    assert find("tts", "de_de-thorsten-medium").id == "de_DE-thorsten-medium"
    assert find("tts", "tugão").id == "pt_PT-tugao-medium"
    assert find("stt", "whisper-small").id == "whisper-small"
    assert find("stt", "turbo").id == "whisper-large-v3-turbo"


@pytest.mark.parametrize(
    ("kind", "wanted", "says"),
    [
        ("tts", "thorsten", "fits several: de_DE-thorsten-high"),
        ("stt", "wisper-smal", "Did you mean whisper-small"),
        ("stt", "qwen3-4b-instruct-2507-q4_k_m", "It is a language model."),
        ("llm", "thorsten-medium", "It is a voice."),
        ("llm", "", "media-server models list --available"),
        ("llm", "zzz", "media-server models list --available"),
    ],
)
def test_an_unknown_model_is_answered_with_what_comes_close(kind: Kind, wanted: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=says):
        CATALOGUE.find(kind, wanted)


FILE = {"path": "a/b.onnx", "size": 1, "sha256": "0" * 64}
MODEL = {"id": "m", "repo": "a/b", "revision": "0" * 40, "licence": "MIT", "commercial_use": "yes", "files": [FILE]}


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "main"}, {"revision": None}, {"repo": "https://x/y"}, {"commercial_use": "no"}, {"terms": "mit"},
        {"files": []}, {"files": [FILE | {"path": "../x"}]}, {"files": [FILE | {"path": "/x"}]},
        {"files": [FILE | {"path": "a/../x"}]}, {"files": [FILE | {"sha256": None}]},
        {"files": [FILE | {"sha256": "0"}]}, {"repo": None, "revision": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_pinned_is_no_entry(change: dict[str, object]) -> None:
    models = {kind: [MODEL | change] if kind == "stt" else [MODEL] for kind in ("stt", "llm", "tts")}
    with pytest.raises(ValueError, match="stt"):
        Catalogue.model_validate({"version": 1, "packs": [], **models})
