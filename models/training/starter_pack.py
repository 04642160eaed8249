"""The pack that is made and scored: models/starter, or the folder that the environment's STARTER_PACK names."""

from __future__ import annotations

import os
from pathlib import Path

PACK = Path(os.environ.get("STARTER_PACK") or Path(__file__).parent.parent / "starter").resolve()
STT = PACK / "stt"
CHAT = PACK / "chat" / "starter-chat.gguf"
VOICE = PACK / "voice" / "starter-voice.onnx"
