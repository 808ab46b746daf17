"""What is installed is locked by content, and no lock says where to fetch it: that is each user's own affair."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHON_LOCKS = [
    *sorted((ROOT / "requirements").glob("*.txt")),
    ROOT / "agents" / "partition_agent" / "requirements.lock",
]
PACKAGE_LOCK = ROOT / "frontend" / "package-lock.json"


def _locked(path: Path) -> dict[str, tuple[str, int]]:
    """Return the version and number of hashes of each package in a lock."""
    found: dict[str, tuple[str, int]] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry)
        if match:
            found[canonicalize_name(match[1])] = (match[2], entry.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize("path", PYTHON_LOCKS, ids=lambda path: path.name)
def test_every_locked_python_package_has_a_version_and_hashes_and_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    locked = _locked(path)
    assert locked
    assert all(hashes > 0 for _, hashes in locked.values())
    assert "://" not in text and "--index" not in text and "--extra" not in text and " @ " not in text


def test_every_locked_browser_package_has_a_hash_and_no_address() -> None:
    packages: dict[str, Any] = json.loads(PACKAGE_LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {name: entry for name, entry in packages.items() if name}
    assert len(installed) > 50
    for name, entry in installed.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize("kind", ["studio", "dev"])
def test_lock_holds_every_direct_dependency_in_a_version_that_is_allowed(kind: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    if kind == "dev":
        wanted += project["dependency-groups"]["dev"]
    locked = _locked(ROOT / "requirements" / f"{kind}.txt")
    for requirement in map(Requirement, wanted):
        version, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked to {version}: run `make lock`"


def test_users_and_developers_get_the_same_versions() -> None:
    studio, dev = _locked(ROOT / "requirements" / "studio.txt"), _locked(ROOT / "requirements" / "dev.txt")
    assert studio.items() <= dev.items()
