#!/usr/bin/env python3
"""The virtual environments of this checkout: made once, and made again when their contents change.

    tools/environment.py make NAME   make .env/NAME, unless it is there and up to date
    tools/environment.py freeze      print constraints.txt as the environment `work` has it

An environment counts only once its stamp is written, as the last step: what an interrupt leaves
half made is never used.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036 -- the system's Python may be older
    sys.exit(f"edgeprep needs Python 3.11 or later, this is {sys.version.split()[0]}")

__all__ = [
    "DEVICES",
    "ROOT",
    "TFLITE_RUNTIME_PINS",
    "WORK",
    "Environment",
    "Failed",
    "build_wheels",
    "clean_variables",
    "find_python",
    "pinned",
    "run",
    "wheel",
]

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
WHEELS = ROOT / "build" / "wheels"

HEADER = """\
# The exact versions that the environments of this checkout install.
# Written by `tools/environment.py freeze`, from an environment that passed tools/test.
"""
# Installed first: what builds the projects of this checkout, so that pip does not fetch it anew for
# each of them, and torch, whose version decides whether gigabytes of GPU libraries come along.
FIRST = ("editables", "hatchling", "torch==2.13.0")
# tflite-runtime was built against numpy 1.
TFLITE_RUNTIME_PINS = ("numpy==1.26.4", "tflite-runtime==2.14.0")
TEST_TOOLS = (
    "hypothesis",
    "jsonschema",
    "mypy",
    "opencv-python-headless",
    "psutil",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "scikit-image",
)


class Failed(Exception):
    """A command failed; the message is what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One virtual environment, under `.env`.

    Attributes:
        name: its directory's name.
        projects: directories of this checkout to install, each with the extras to install of it.
        editable: whether the projects run from their sources, or from wheels in build/wheels.
        first: requirements to install before all others.
        requirements: what to install beside the projects.
        pins: exact versions that take the place of those in constraints.txt.
        python: the version of its Python; None for the one that runs this.
    """

    name: str
    projects: tuple[tuple[str, str], ...]
    editable: bool = False
    first: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    python: tuple[int, int] | None = None

    @property
    def possible(self) -> bool:
        """Whether its Python is on this machine."""
        return find_python(self.python) is not None

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / ".env" / self.name

    def program(self, name: str) -> Path:
        """A program that is installed in it."""
        return self.path / "bin" / name

    def make(self) -> bool:
        """Make it, unless it is up to date; wheels are installed anew each time.

        Returns:
            Whether it was made.

        Raises:
            Failed: pip failed.
        """
        self.path.parent.mkdir(exist_ok=True)
        with alone(self.path.with_suffix(".lock")):
            stamp = self.path / "stamp"
            fresh = not stamp.is_file() or stamp.read_text() != self._digest()
            if fresh:
                shutil.rmtree(self.path, ignore_errors=True)
                self._create()
                self._install()
                half = stamp.with_suffix(".half")
                half.write_text(self._digest())
                half.replace(stamp)
            elif not self.editable:
                self._pip("--force-reinstall", "--no-deps", *self._projects())
        return fresh

    def _create(self) -> None:
        run(self._python(), "-m", "venv", self.path)

    def _install(self) -> None:
        constraints = self.path / "constraints.txt"
        constraints.write_text("\n".join(pinned(self.pins)) + "\n")
        if self.first:
            self._pip("--constraint", constraints, *self.first)
        self._pip(
            "--constraint",
            constraints,
            *(["--no-build-isolation"] if self.first else []),
            *self.requirements,
            *self._projects(),
        )

    def _projects(self) -> Iterator[str | Path]:
        for directory, extras in self.projects:
            options = f"[{extras}]" if extras else ""
            if self.editable:
                yield "--editable"
                yield f"{ROOT / directory}{options}"
            else:
                yield f"{wheel(directory)}{options}"

    def _pip(self, *arguments: str | Path) -> None:
        pip = (self.program("python"), "-m", "pip", "install", "--quiet")
        run(*pip, "--disable-pip-version-check", *arguments)

    def _python(self) -> Path:
        python = find_python(self.python)
        if python is None:
            raise Failed(f"{self.name}: its Python is not on this machine")
        return python

    def _digest(self) -> str:
        """What the environment is made from, as one number."""
        content = [
            build_of(self._python()),
            str(ROOT),  # an environment that was moved with its checkout does not run
            repr(self),
            CONSTRAINTS.read_text(),
            *map(installed_part, (ROOT / "pyproject.toml", *plugin_files())),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@cache
def find_python(version: tuple[int, int] | None = None) -> Path | None:
    """A Python of this version that makes environments, or None where there is none.

    It is looked for on the path, and beside the Python that runs this, where pyenv and uv keep
    several.
    """
    if version in (None, sys.version_info[:2]):
        return Path(sys.executable)
    name = "python{}.{}".format(*version)
    beside = Path(sys.base_prefix).parent.glob(f"*{version[0]}.{version[1]}*/bin/{name}")
    for found in map(Path, filter(None, (shutil.which(name), *sorted(beside)))):
        # pyenv's programs on the path may be there for a version that is not.
        if build_of(found).startswith(f"{version[0]}.{version[1]}."):
            return found
    return None


@cache
def build_of(python: Path) -> str:
    """Which Python this is, to the day of its build; empty where it makes no environments."""
    if python == Path(sys.executable):
        return sys.version
    script = "import ensurepip, sys, venv; print(sys.version)"
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout


def plugin_files() -> list[Path]:
    """The pyproject.toml of each plugin."""
    return sorted(ROOT.glob("plugins/*/pyproject.toml"))


def installed_part(pyproject: Path) -> str:
    """What a pyproject.toml says of an installation; settings of linters are left out."""
    import tomllib  # Python 3.10 has none, and shall reach the message at the top

    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    content["tool"] = content.get("tool", {}).get("hatch")
    return json.dumps(content)


def pinned(pins: tuple[str, ...]) -> list[str]:
    """The lines of constraints.txt, with `pins` in the place of other pins of the same names."""
    names = {pin.partition("==")[0] for pin in pins}
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [*(line for line in lines if line.partition("==")[0] not in names), *pins]


def wheel(directory: str) -> Path:
    """The wheel that was built of a project of this checkout."""
    name = "edgeprep" if directory == "." else Path(directory).name.replace("-", "_")
    (path,) = WHEELS.glob(f"{name}-[0-9]*.whl")
    return path


def build_wheels() -> list[Path]:
    """Build every distribution of this checkout into build/wheels, with what `work` has.

    Raises:
        Failed: one of them does not build.
    """
    shutil.rmtree(WHEELS, ignore_errors=True)
    files = (ROOT / "pyproject.toml", ROOT / "model_zoo" / "pyproject.toml", *plugin_files())
    projects = [file.parent for file in files]
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", WHEELS)
    run(WORK.program("python"), "-m", "pip", "wheel", *options, *projects)
    return sorted(WHEELS.glob("*.whl"))


def run(*command: str | Path, **variables: str) -> str:
    """What a command prints to stdout.

    Raises:
        Failed: it exits with another status than 0.
    """
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean_variables() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        words = " ".join(map(str, command))
        raise Failed(f"{words}\n{done.stdout}{done.stderr}\nexit status {done.returncode}")
    return done.stdout


def clean_variables() -> dict[str, str]:
    """This process's variables, without those that would change what a checkout does."""
    astray = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in astray and not name.startswith(("EDGEPREP_", "PYTEST_"))
    } | {"PYTHONNOUSERSITE": "1"}


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Inside, no other process of this checkout makes the same environment."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def freeze() -> str:
    """The content of constraints.txt, by what is installed in `work`."""
    lines = run(WORK.program("python"), "-m", "pip", "freeze", "--exclude-editable").splitlines()
    # A local version, such as 2.13.0+cpu, is one build of 2.13.0, and not found everywhere.
    return HEADER + "".join(f"{line.partition('+')[0]}\n" for line in lines)


WORK = Environment(
    name="work",
    editable=True,
    first=FIRST,
    requirements=TEST_TOOLS,
    projects=(
        (".", "convert,opentelemetry,picture,prometheus,video"),
        *((f"plugins/{file.parent.name}", "convert,runtime") for file in plugin_files()),
    ),
)
PYTHONS = ((3, 11), (3, 12), (3, 13))


def device(engine: str, plugin: str, python: tuple[int, int], **options: Any) -> Environment:
    """What a device has: edgeprep, one plugin and its engine, and nothing of a workstation."""
    extra = options.pop("extra", "runtime")
    return Environment(
        name="device-{}-{}.{}".format(engine, *python),
        requirements=("pytest",),
        projects=((".", "picture"), (f"plugins/{plugin}", extra)),
        python=python,
        **options,
    )


# Each engine, and the environments in which it is tested.
DEVICES = {
    "onnxruntime": [device("onnxruntime", "edgeprep-onnx", python) for python in PYTHONS],
    "openvino": [device("openvino", "edgeprep-openvino", python) for python in PYTHONS],
    "ai-edge-litert": [device("ai-edge-litert", "edgeprep-tflite", python) for python in PYTHONS],
    # Its last wheels are for Python 3.11.
    "tflite-runtime": [
        device(
            "tflite-runtime",
            "edgeprep-tflite",
            (3, 11),
            extra="tflite-runtime",
            pins=TFLITE_RUNTIME_PINS,
        )
    ],
}
ENVIRONMENTS = {environment.name: environment for environment in (WORK, *chain(*DEVICES.values()))}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("name", choices=ENVIRONMENTS)
    commands.add_parser("freeze")
    arguments = parser.parse_args()
    try:
        if arguments.command == "freeze":
            print(freeze(), end="")
        else:
            environment = ENVIRONMENTS[arguments.name]
            environment.make()
            print(environment.path)
    except Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
