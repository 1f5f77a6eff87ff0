"""Every library that an environment installs has one exact version, written down."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.]*)")
NAME = re.compile(r"[A-Za-z0-9._-]+")


def normal(name):
    """A distribution's name, as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "tools" / "constraints.txt").read_text().splitlines()
    found = [PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found)
    return {normal(match[1]): match[2] for match in found}


@pytest.mark.parametrize(
    "file",
    [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_what_a_project_requires_is_pinned(file, pins):
    content = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = dict(content.get("optional-dependencies", {}))
    extras.pop("tflite-runtime", None)  # an environment of its own, with pins of its own
    requirements = [*content.get("dependencies", []), *(r for rs in extras.values() for r in rs)]
    names = {normal(NAME.match(requirement)[0]) for requirement in requirements}
    assert {name for name in names - pins.keys() if not name.startswith("edgeprep")} == set()


def test_what_tools_require_is_pinned(environment, pins):
    names = {normal(NAME.match(name)[0]) for name in (*environment.FIRST, *environment.TEST_TOOLS)}
    assert names <= pins.keys()


def test_torch_is_the_version_that_comes_without_gpu_libraries(environment, pins):
    assert pins["torch"] == "2.13.0"
    assert "torch==2.13.0" in environment.FIRST
    assert not [name for name in pins if name.startswith(("nvidia", "triton"))]
