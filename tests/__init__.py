"""The tests; a package so that `tests.support` means ours and nobody else's."""
