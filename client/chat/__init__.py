"""The chat in a terminal: what a person tries first, and what a script calls for one answer."""
