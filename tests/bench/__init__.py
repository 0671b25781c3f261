"""Figures that `make bench` measures: ratios, counts and shares of one run, never times that a test would assert."""
