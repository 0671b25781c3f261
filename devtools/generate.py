"""Writes `generated/` from `protos/`, so that the committed code is exactly what the contract says.

`python -m devtools.generate` rewrites it; with `--check` nothing is touched, and every file that differs from a fresh
generation is listed (exit code 1).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the run; prints what it did, or what differs."""
    parser = argparse.ArgumentParser(prog="python -m devtools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare with a fresh generation")
    check = parser.parse_args(arguments).check
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        differences = compare(fresh, GENERATED)
        if not check:
            replace(fresh, GENERATED)
            print(f"generated/: {len(differences)} file(s) written or removed")
            return 0
    for line in differences:
        print(line)
    if differences:
        print(f"generated/ is not what protos/ make, in {len(differences)} file(s): run `make generate`")
    return 1 if differences else 0


def generate(target: Path) -> None:
    """Fills an empty directory with Python code, gRPC stubs and their types. Raises SystemExit if protoc fails."""
    files = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    services = [file for file in files if file.endswith("_service.proto")]
    _protoc(files, f"--python_out={target}", f"--mypy_out=quiet:{target}")
    _protoc(services, f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}")


def compare(fresh: Path, committed: Path) -> list[str]:
    """One line per file that is missing, stale or not byte-identical, in order of path."""
    wanted, present = _contents(fresh), _contents(committed)
    lines = []
    for name in sorted(wanted.keys() | present.keys()):
        if name not in present:
            lines.append(f"missing  generated/{name}")
        elif name not in wanted:
            lines.append(f"stale    generated/{name}")
        elif wanted[name] != present[name]:
            lines.append(f"differs  generated/{name}")
    return lines


def replace(fresh: Path, committed: Path) -> None:
    """Makes one directory equal to the other, touching only the files that differ."""
    wanted, present = _contents(fresh), _contents(committed)
    for name in present.keys() - wanted.keys():
        (committed / name).unlink()
    for name, content in wanted.items():
        if present.get(name) != content:
            (committed / name).parent.mkdir(parents=True, exist_ok=True)
            (committed / name).write_bytes(content)


def _contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _protoc(files: list[str], *outputs: str) -> None:
    plugins = [f"--plugin={name}={_plugin(name)}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *plugins, *outputs, *files]
    if code := subprocess.run(command, check=False).returncode:
        raise SystemExit(f"protoc failed with exit code {code}")


def _plugin(name: str) -> str:
    # Beside the running interpreter first: the environment need not be activated.
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not installed: run `make setup`")
    return found


if __name__ == "__main__":
    sys.exit(main())
