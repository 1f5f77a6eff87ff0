"""A device with a 64-bit Arm processor, on any machine: its programs run by an emulator, qemu.

Its system is Debian's, unpacked from packages; its libraries are the wheels that such a device
installs. Nothing is installed on this machine, and no right is needed but to write here.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from debian import Tree
from environment import TFLITE_RUNTIME_PINS, WORK, Environment, Failed, run

__all__ = ["DEVICES", "EMULATOR", "PYTHON", "SYSTEM", "ArmEnvironment", "emulator_version"]

# 7.2, which Debian 12 has, crashes in onnxruntime and in ai-edge-litert.
LEAST_QEMU = 10
EMULATOR = Tree(
    name="arm64-qemu",
    packages=("qemu-user",),
    suite="bookworm-backports",
    only=("usr/bin/qemu-aarch64",),  # of 30 machines
)
SYSTEM = Tree(name="arm64-debian", packages=("python3", "libstdc++6"), architecture="arm64")
# Debian 12's.
PYTHON = (3, 11)
GLIBC = (2, 36)
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(GLIBC[1], 16, -1)]
# A processor with the dot products of int8 that onnxruntime and XNNPACK ask for.
QEMU = "{qemu} -cpu neoverse-n1 -L {system} -0 {python} {system}/usr/bin/python3.11"
PROGRAMS = {"python": "", "pytest": "-P -m pytest ", "edgeprep": "-P -m edgeprep "}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEnvironment(Environment):
    """A virtual environment of the emulated device; it starts where any program does."""

    @property
    def possible(self) -> bool:
        """It always is: it brings its Python along."""
        return True

    def _create(self) -> None:
        (self.path / "bin").mkdir(parents=True)
        # By this file, and the name that it is started by, Python finds the environment.
        home = SYSTEM.path / "usr" / "bin"
        (self.path / "pyvenv.cfg").write_text(f"home = {home}\nversion = 3.11\n")
        python = self.program("python")
        command = QEMU.format(
            qemu=EMULATOR.path / "usr/bin/qemu-aarch64", system=SYSTEM.path, python=python
        )
        for name, options in PROGRAMS.items():
            self.program(name).write_text(f'#!/bin/sh\nexec {command} {options}"$@"\n')
            self.program(name).chmod(0o755)

    def _pip(self, *arguments: str | Path) -> None:
        """Install as a device does, of wheels that are for it."""
        left = [word for word in arguments if word != "--force-reinstall"]
        run(
            *(WORK.program("python"), "-m", "pip", "install", "--quiet", "--upgrade"),
            *("--disable-pip-version-check", "--no-warn-conflicts", "--only-binary=:all:"),
            *("--target", self.path / "lib" / "python3.11" / "site-packages"),
            *("--python-version", "{}.{}".format(*PYTHON), "--implementation", "cp"),
            *(f"--platform={platform}" for platform in PLATFORMS),
            *left,
        )

    def _digest(self) -> str:
        own = Path(__file__).read_text(encoding="utf-8")
        return hashlib.sha256((Environment._digest(self) + own).encode()).hexdigest()


def emulator_version() -> str:
    """The emulator's version.

    Raises:
        Failed: it does not start, or is too old.
    """
    said = run(EMULATOR.path / "usr" / "bin" / "qemu-aarch64", "--version")
    found = re.search(r"version (\d+)\.[\d.]+", said)
    if found is None or int(found[1]) < LEAST_QEMU:
        raise Failed(f"qemu-aarch64: version must be at least {LEAST_QEMU}, got {said!r}")
    return found[0]


def device(
    engine: str, plugin: str, extra: str = "runtime", **options: tuple[str, ...]
) -> ArmEnvironment:
    """What a device has: edgeprep, one plugin and its engine."""
    return ArmEnvironment(
        name=f"arm64-{engine}",
        requirements=("pytest", "pytest-timeout"),
        projects=((".", "picture"), (f"plugins/{plugin}", extra)),
        **options,
    )


# By the engine's name in tests/device.
DEVICES = {
    "onnxruntime": device("onnxruntime", "edgeprep-onnx"),
    "ai-edge-litert": device("ai-edge-litert", "edgeprep-tflite"),
    "tflite-runtime": device(
        "tflite-runtime", "edgeprep-tflite", "tflite-runtime", pins=TFLITE_RUNTIME_PINS
    ),
}
