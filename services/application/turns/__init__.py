"""The engine: what a turn does next, and the runner that does it."""
