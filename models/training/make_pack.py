"""Write `pack.toml` of the starter pack: what is in the folder, with sizes and checksums.

python make_pack.py ../starter
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

HEAD = """\
name = "starter"
description = "Three tiny models trained by this project: a closed domain, in English, in under 20 MB."
notice = "The starter models understand a few topics only (sums, lights, timers, pizza, orders). Models to talk with: \
media-server models fetch small"
revision = "{revision}"
licence = "Apache-2.0; see README.md for what they were made from"

[stt]
path = "stt"
language = "en"
threads = 1
window_s = 6

[llm]
path = "chat/starter-chat.gguf"
context = 1024
slots = 16
described_arguments = true
temperature = 0
threads = 1

[tts]
path = "voice/starter-voice.onnx"
threads = 1

[voices.calm]
path = "voice/starter-voice.onnx"
length_scale = 1.25
"""


def main() -> None:
    folder = Path(sys.argv[1])
    files = [f for sub in ("stt", "chat", "voice") for f in sorted((folder / sub).iterdir()) if f.is_file()]
    sums = {f: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    revision = hashlib.sha256("".join(sums.values()).encode()).hexdigest()[:12]
    text = HEAD.format(revision=revision)
    for f in files:
        text += f'\n[[files]]\npath = "{f.relative_to(folder)}"\nsize = {f.stat().st_size}\nsha256 = "{sums[f]}"\n'
    (folder / "pack.toml").write_text(text)
    print(f"{folder}/pack.toml: {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
