"""The gate: what of one run is news, and whether that blocks."""
