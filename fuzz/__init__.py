"""Fuzzing of what strangers, callers and operators' files say: `python -m fuzz --minutes 30`."""
