"""`models import`: a pack of a model that somebody already has."""

from __future__ import annotations

import argparse
from typing import Any

from media_server.cli.options import command, settings
from media_server.cli.parser import path
from media_server.errors import ConfigurationError, MediaServerError

__all__ = ["add_import"]

IMPORT = """\
Make a pack of a model that you already have. What it is is found out:

  a GGUF file                   a language model (instruct or chat); of one split in parts, any part
  a folder with model.bin       a Whisper in CTranslate2's form (faster-whisper)
  a folder with .safetensors    a Whisper as Transformers saves it, fine-tuned or not; it is converted, without torch
  an .onnx with its .onnx.json  a Piper voice
  an .onnx alone                Smart Turn v3
  a folder with a pack.toml     a whole pack

The pack's other models are those of another pack. Files are linked where that can be, and copied otherwise; nothing is
done to the ones that you have. All checksums are made here.

  media-server models import ~/models/my-model-Q4_K_M.gguf --with small
  media-server models import ~/voices/de_DE-anna-medium.onnx --name small --with small --voice anna
"""


def add_import(actions: Any) -> argparse.ArgumentParser:
    importing = command(actions, "import", "make a pack of a model that you already have", IMPORT)
    importing.add_argument("path", type=path, help="a file or folder")
    importing.add_argument("--name", dest="called", metavar="NAME", help="what the pack is called (as the file is)")
    importing.add_argument(
        "--as",
        dest="part",
        choices=["stt", "llm", "tts", "turn", "embedding"],
        help="what it is: recogniser, language model, voice, turn or embedding model (found out)",
    )
    importing.add_argument("--with", dest="base", metavar="PACK", help="where the other models are from")
    importing.add_argument("--voice", metavar="NAME", default="", help="add it as a further voice of this name")
    importing.add_argument("--language", metavar="CODE", help="of a recogniser: what callers speak, like de")
    importing.add_argument("--copy", action="store_true", help="copy files also where they could be linked")
    importing.set_defaults(run=_import)
    return importing


def _import(args: argparse.Namespace) -> int:
    from media_server.engines.packs import Pack, load_pack, manifest_in
    from media_server.packs.examining import examine
    from media_server.packs.importing import Target, import_model, import_pack
    from media_server.packs.local import PackError, check_name, local_packs

    chosen = settings(args)
    path = args.path.expanduser()
    if args.called:
        check_name(args.called)
    if (path / "pack.toml").is_file():
        pack = Pack(path, manifest_in(path))
        name = args.called or pack.manifest.name
        folder = import_pack(pack, name, chosen.models_dir, args.copy)
        print(f"{name} is in {folder}. Start with it: media-server serve --pack {name}")
        return 0
    found = examine(path, args.part)
    print(f"{path.name}: {'; '.join([found.id, *found.facts, f'licence: {found.licence}'])}")
    try:
        base = load_pack(args.base or chosen.pack, chosen.models_dir)
    except ConfigurationError as e:
        raise MediaServerError("unknown_pack", f"The other models have to come from somewhere. {e.message}") from e
    name = args.called or found.id
    if not args.called and name in local_packs(chosen.models_dir):
        raise PackError(f"There is a pack {name!r} already. Say --name, with another name or with this one.")
    folder = import_model(found, Target(name, base, args.voice, args.language, args.copy), chosen.models_dir, print)
    if base.manifest.name == "starter":
        print(
            "The other models are the starter pack's, which understand a few topics only; with --with PACK they are "
            "those of another one."
        )
    print(f"{name} is in {folder}. Start with it: media-server serve --pack {name}")
    return 0
