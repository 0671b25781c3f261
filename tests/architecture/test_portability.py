"""The project installs from whatever registry a machine is set up with: no file names one."""

from __future__ import annotations

import pytest

from tests.architecture.source_tree import ROOT, project_files

# Written in two halves, so that this file does not name them either.
_REGISTRY_HOSTS = tuple(
    f"{name}.{domain}".encode()
    for name, domain in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb.debian", "org"),
        ("proxy.golang", "org"),
        ("repo.maven.apache", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
    ]
)


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path} names {host.decode()}"
        for path in project_files()
        for host in _REGISTRY_HOSTS
        if host in (ROOT / path).read_bytes()
    ]
    assert found == []


@pytest.mark.parametrize(("lock", "least"), [("requirements.lock", 50), ("local-model.lock", 20)])
def test_a_lock_file_pins_everything_with_hashes_and_knows_no_place_to_get_it_from(lock: str, least: int) -> None:
    pins = 0
    for line in (ROOT / lock).read_text().splitlines():
        if line.startswith("#"):
            continue
        assert "://" not in line
        assert line.startswith("    --hash=sha256:") or "==" in line, line
        pins += "==" in line
    assert pins > least
