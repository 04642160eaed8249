"""What `models list` and `models show` print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from media_server.counted import counted

if TYPE_CHECKING:
    from media_server.packs.catalogue import Model

__all__ = ["at_mirrors", "available", "on_this_machine", "shown"]

COMMERCIAL = {"yes": "commercial use allowed", "no": "NOT for commercial use", "unclear": "commercial use unclear"}
THINKING = {"never": "never thinks", "switch": "thinking can be switched on", "switch-on": "thinking is switched off"}
CACHE = {
    "plain": "keeps its prompt between turns",
    "swa": "keeps its prompt with a full sliding-window cache",
    "hybrid": "may read its prompt again at every turn",
}


def on_this_machine(models_dir: Path) -> None:
    """Print the packs that are here."""
    from media_server.engines.packs import manifest_in
    from media_server.errors import ConfigurationError
    from media_server.packs.local import local_packs, size_text

    print("On this machine:")
    for name, folder in local_packs(models_dir).items():
        try:
            manifest = manifest_in(folder)
        except ConfigurationError:
            print(f"  {name:<20} {'':>10}  its pack.toml is damaged: media-server models show {name}")
            continue
        print(f"  {name:<20} {size_text(sum(f.size for f in manifest.files)):>10}  {manifest.description}")


async def at_mirrors(specs: list[str], models_dir: Path, offline: bool) -> None:
    """Print the packs that mirrors have. Raises `DownloadError`."""
    from media_server.packs.local import local_packs
    from media_server.packs.sources import chosen_sources
    from media_server.packs.transfer import http_session

    here = local_packs(models_dir)
    async with http_session(offline=offline) as http:
        for mirror in chosen_sources(specs, http).mirrors:
            print(f"\nAt {mirror.label}:")
            for name, entry in (await mirror.packs()).items():
                print(f"  {name:<20} {entry.revision:<14} {entry.description}{'  (here)' if name in here else ''}")


def available(language: str | None) -> None:
    """Print the packs and models of the built-in catalogue; of the voices those of a language, if one is given."""
    from media_server.packs.catalogue import KINDS, SPOKEN, builtin_catalogue
    from media_server.packs.local import size_text

    catalogue = builtin_catalogue()
    if language is not None and not _spoken(catalogue.models("tts"), language):
        known = ", ".join(
            sorted({model.language.partition("_")[0] for model in catalogue.models("tts") if model.language})
        )
        print(f"\nThere is no voice for {language!r}. There are some for: {known}.")
        return
    if language is None:
        print("\nPacks that can be fetched:")
        for recipe in catalogue.packs:
            models = [m for _, m in recipe.members(catalogue)]
            print(f"  {recipe.name:<20} {size_text(sum(m.size for m in models)):>10}  {recipe.description}")
            print(f"  {'':<20} {'':>10}  {', '.join(m.id for m in models)}")
    for kind in KINDS:
        if language is not None and kind != "tts":
            continue
        found = _spoken(catalogue.models(kind), language or "") if kind == "tts" else catalogue.models(kind)
        print(f"\n{SPOKEN[kind].capitalize()}s (--{'voice' if kind == 'tts' else kind}):" if found else "")
        for model in found:
            marks = [] if model.commercial_use == "yes" else [COMMERCIAL[model.commercial_use]]
            marks += ["only an MD5 is known: --allow-md5"] if model.by_md5_only else []
            print(f"  {model.id:<40} {size_text(model.size):>9}  {'; '.join([model.licence, *marks])}")


def _spoken(voices: Sequence[Model], language: str) -> list[Model]:
    """The voices of a language, which may be a part of its code."""
    wanted = language.replace("-", "_").lower()
    return [voice for voice in voices if (voice.language or "").lower().startswith(wanted)]


def shown(name: str, models_dir: Path) -> None:
    """Print all that is known of a pack or a model.

    Raises:
        MediaServerError: there is nothing of that name.
    """
    from media_server.packs.catalogue import KINDS, CatalogueError, builtin_catalogue
    from media_server.packs.local import local_packs

    catalogue = builtin_catalogue()
    if name in local_packs(models_dir):
        _pack(name, models_dir)
        return
    if recipe := catalogue.recipe(name):
        from media_server.packs.local import size_text
        from media_server.packs.memory import estimate

        models = recipe.members(catalogue)
        print(f"{recipe.name}: {recipe.description}")
        print(f"Not on this machine; media-server models fetch {name} brings it.\n")
        for part, model in models:
            print(f"{part:<12} {model.id:<40} {size_text(model.size):>9}  {model.licence}")
        print(f"{'':<12} {'together':<40} {size_text(sum(m.size for _, m in models)):>9}")
        memory = estimate(models, recipe.context, recipe.slots)
        print(f"\nMemory when loaded: about {size_text(memory)}, with {recipe.slots} conversations.")
        return
    found, nearly = [], []
    for kind in KINDS:
        try:
            found.append(catalogue.find(kind, name))
        except CatalogueError as e:
            nearly += [e.message] if "fits several" in e.message or "Did you mean" in e.message else []
    if not found:
        raise CatalogueError(
            f"There is no pack {name!r} in {models_dir.resolve()} and no pack or model of that name in the catalogue. "
            + (" ".join(nearly) or "media-server models list --available shows all.")
        )
    for model in found:
        _model(model)


def _pack(name: str, models_dir: Path) -> None:
    from media_server.engines.packs import load_pack
    from media_server.packs.local import size_text
    from media_server.packs.memory import of_pack

    pack = load_pack(name, models_dir)
    manifest = pack.manifest
    print(f"{name}: {manifest.description}")
    print(f"{'folder':<12} {pack.folder.resolve()}")
    print(f"{'revision':<12} {manifest.revision}")
    print(f"{'licence':<12} {manifest.licence}")
    for origin in manifest.models:
        use = COMMERCIAL[origin.commercial_use]
        print(f"{origin.part:<12} {origin.id}: {origin.licence}; {use}")
    print(f"{'memory':<12} about {size_text(of_pack(pack))} when it is loaded")
    print("\nSettings:")
    for part in ("stt", "llm", "tts", "voices", "turn", "emotion", "embedding"):
        table = getattr(manifest, part)
        for label, each in [(f"voices.{k}", v) for k, v in table.items()] if part == "voices" else [(part, table)]:
            if each is not None:
                said = ", ".join(f"{k} = {v}" for k, v in each.model_dump(exclude_unset=True).items())
                print(f"  {label:<20} {said}")
    print("\nFiles:")
    for file in manifest.files:
        print(f"  {size_text(file.size):>10}  {file.path}")
    print(f"  {size_text(sum(f.size for f in manifest.files)):>10}  together")


def _model(model: Model) -> None:
    from media_server.packs.local import size_text

    print(model.id)
    facts = {
        "licence": f"{model.licence}; {COMMERCIAL[model.commercial_use]}",
        "terms": f"--accept-licence {model.terms}" if model.terms else "",
        "size": size_text(model.size),
        "source": f"{model.repo} at {model.revision}" if model.repo else "",
        "package": f"{model.package.name} {model.package.version} of a Python index" if model.package else "",
        "language": model.language or "",
        "quality": model.quality or "",
        "speakers": str(model.speakers) if model.speakers > 1 else "",
        "base voice": model.base_voice or "",
        "thinking": THINKING[model.thinking] if model.thinking else "",
        "cache": CACHE[model.prefix_cache] if model.prefix_cache else "",
        "checksums": f"SHA-256, named by {counted(model.verified, 'public manifest')}"
        if not model.by_md5_only
        else "MD5 and size only; --allow-md5 fetches it all the same",
        "note": model.note,
    }
    for name, said in facts.items():
        if said:
            print(f"  {name:<12} {said}")
