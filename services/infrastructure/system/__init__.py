"""The machine the process runs on."""
