"""Where model packs come from: the catalogue, fetching, importing, and what is on this machine."""
