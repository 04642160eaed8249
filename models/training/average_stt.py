"""Average recognisers that were trained on from the same one, whose tokenizer they keep.

    python average_stt.py /tmp/one /tmp/two --out ../starter/stt

Better than each of them on voices that none has heard (model soups, Wortsman et al. 2022, https://arxiv.org/abs/2203.05482).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from ctranslate2_weights import whisper_state
from starter_pack import STT
from tokenizers import Tokenizer
from train_stt import make_model, write_ctranslate2


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folders", type=Path, nargs="+")
    ap.add_argument("--out", type=Path, default=STT)
    args = ap.parse_args()
    tok = Tokenizer.from_file(str(args.folders[0] / "tokenizer.json"))
    states = [whisper_state(f / "model.bin") for f in args.folders]
    mean = {key: torch.stack([s[key] for s in states]).mean(0) for key in states[0]}
    model = make_model(tok)
    model.load_state_dict(mean)
    write_ctranslate2(model, tok, args.out)


if __name__ == "__main__":
    main()
