"""Stands where PyAudio would be, which the client imports and uses at a terminal only."""
