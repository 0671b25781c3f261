"""The rules of ARCHITECTURE.md that a machine can check and the import contracts do not."""
