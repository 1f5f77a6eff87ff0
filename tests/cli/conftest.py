"""Commands in this process and in others, with a plugin of fakes installed, and a project."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import Golden, Manifest, Measured, Parity, SourceRecord, Variant, write_bundle
from edgeprep.cli import main
from edgeprep.pictures import write_picture
from edgeprep.registry import default_registry
from edgeprep.tensors import ImageSpec

FAKES = Path(__file__).parent / "fakes"
LABELS = ("red", "green", "blue")

MODEL = """
import torch
from edgeprep_fakes import pause


class Net(torch.nn.Module):
    # Right by construction: the class is the brightest channel.
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 3, bias=False)
        self.head.weight.data = torch.eye(3)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def build():
    pause("model")
    return Net()


def number():
    return 3


def failing():
    raise KeyError("hub")
"""

DATA = """
import numpy as np
from edgeprep_fakes import pause


def pictures(count=24, seed=3):
    rng = np.random.default_rng(seed)
    for index in range(count):
        picture = rng.integers(0, 120, (8, 8, 3), dtype=np.uint8)
        picture[..., index % 3] += 30
        if index == 10:
            pause("data")
        yield picture, index % 3


def others():
    return pictures(seed=4)


def nothing():
    return []
"""

RECIPE = """
name = "small"

[model]
factory = "model:build"

[task]
use    = "classify"
labels = ["red", "green", "blue"]

[[preprocess]]
use  = "resize"
size = [8, 8]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]

[data]
calibration = { factory = "data:others" }
evaluation  = { factory = "data:pictures" }

[[target]]
format    = "fake"
precision = ["fp32", "int8"]
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plugin of fakes is installed, and no other; every file goes below `tmp_path`."""
    site, work, scratch = (tmp_path / name for name in ("site", "work", "scratch"))
    for directory in (site / "edgeprep_fakes-1.5.dist-info", work, scratch):
        directory.mkdir(parents=True)
    info = site / "edgeprep_fakes-1.5.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edgeprep-fakes\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[edgeprep]\nfakes = edgeprep_fakes\n")
    for path in (site, FAKES):
        monkeypatch.syspath_prepend(path)
    # Whoever tests a checkout that is not installed says so in the variable, too.
    outer = filter(None, [os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(site), *outer]))
    monkeypatch.setenv("EDGEPREP_PLUGINS", "fakes")
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(work)
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


@pytest.fixture
def edgeprep(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command in this process."""

    def run(*words: object) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit, match=r"^\d+$") as end:
            main([str(word) for word in words])
        return Ended(int(str(end.value)), *capfd.readouterr())

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command in a process of its own."""

    def start(*words: object, **options: Any) -> subprocess.Popen[str]:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
        program = [sys.executable, "-m", "edgeprep", *map(str, words)]
        return subprocess.Popen(program, **given | options)

    return start


@pytest.fixture
def spawn(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Ended]:
    """Runs a command in a process of its own."""

    def run(*words: object, **options: Any) -> Ended:
        process = start(*words, **options)
        stdout, stderr = process.communicate(timeout=60)
        return Ended(process.returncode, stdout, stderr)

    return run


@pytest.fixture
def left_behind(tmp_path: Path) -> Callable[[], list[str]]:
    """The names of temporary files, and of files in the working directory."""

    def names() -> list[str]:
        folders = (tmp_path / "scratch", tmp_path / "work")
        return sorted(path.name for folder in folders for path in folder.rglob("*"))

    return names


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe with its model and data; parts of its text can be replaced."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "model.py").write_text(MODEL)
    (directory / "data.py").write_text(DATA)

    def write(replace: Mapping[str, str] | None = None, *, more: str = "") -> Path:
        text = RECIPE
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = directory / "recipe.toml"
        path.write_text(f"{text}\n{more}\n")
        return path

    return write


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Packs a bundle for the fake backend that names the brightest channel of a picture."""

    def make(*labels: str) -> Path:
        from edgeprep_fakes import brightness

        pictures = np.random.default_rng(7).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
        scores = brightness(pictures).tobytes()
        path = tmp_path / "brightest.edgeprep"
        members = {
            "variants/fake-fp32/model.fake": b"fp32",
            "golden/split/input.bin": pictures.tobytes(),
            "golden/split/output-0.bin": scores,
            "golden/fake-fp32/0.bin": scores,
        }
        write_bundle(path, manifest(labels), members)
        return path

    return make


@pytest.fixture
def make_task_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Packs a bundle for another task; its network is one of NETWORKS of the fakes."""

    def make(network: str, **task: object) -> Path:
        from edgeprep_fakes import NETWORKS, outputs_of

        pictures = np.random.default_rng(7).integers(1, 256, (4, 8, 8, 3), dtype=np.uint8)
        each = [NETWORKS[network][0](picture[None]) for picture in pictures]
        arrays = [np.concatenate(parts) for parts in zip(*each, strict=True)]
        plain = manifest(())
        specs = outputs_of(network)
        kept = [f"golden/fake-fp32/{place}.bin" for place in range(len(arrays))]
        source = [f"golden/split/output-{place}.bin" for place in range(len(arrays))]
        outputs = tuple(
            replace(spec, shape=array.shape) for spec, array in zip(specs, arrays, strict=True)
        )
        members = {
            "variants/fake-fp32/model.fake": network.encode(),
            "golden/split/input.bin": pictures.tobytes(),
            **{name: array.tobytes() for name, array in zip(kept, arrays, strict=True)},
            **{name: array.tobytes() for name, array in zip(source, arrays, strict=True)},
        }
        size = len(network)
        path = tmp_path / f"{network}.edgeprep"
        made = replace(
            plain,
            task=task,
            variants=(
                replace(
                    plain.variants[0],
                    size_bytes=size,
                    outputs=specs,
                    golden_outputs=tuple(kept),
                ),
            ),
            golden=(replace(plain.golden[0], outputs=outputs, output_members=tuple(source)),),
        )
        write_bundle(path, made, members)
        return path

    return make


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Writes a film by PyAV alone, of frames that are each of one colour."""

    def write(name: str, *colors: tuple[int, int, int], fps: int = 10, size: int = 64) -> Path:
        import av

        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.height = stream.width = size
            stream.pix_fmt = "yuv420p"
            for index, color in enumerate(colors):
                picture = np.full((size, size, 3), color, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


def manifest(labels: Sequence[str]) -> Manifest:
    from edgeprep_fakes import IMAGE, SCORES

    variant = Variant(
        name="fake-fp32",
        format="fake",
        precision="fp32",
        placement="split",
        requires=("edgeprep-fakes[runtime]",),
        files=("variants/fake-fp32/model.fake",),
        size_bytes=4,
        input=IMAGE,
        outputs=(SCORES,),
        parity=Parity(max_abs=0.0, relative=0.0, samples=4),
        metric=Measured(name="accuracy", value=0.9375, drop=0.03125, samples=32),
        tolerance=1e-3,
        golden_outputs=("golden/fake-fp32/0.bin",),
    )
    golden = Golden(
        placement="split",
        input=replace(IMAGE, shape=(4, 8, 8, 3)),
        input_member="golden/split/input.bin",
        outputs=(replace(SCORES, shape=(4, 3)),),
        output_members=("golden/split/output-0.bin",),
    )
    return Manifest(
        name="brightest",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": list(labels), "top": 2},
        input=ImageSpec(),
        chain=({"use": "resize@1", "size": [8, 8]}, {"use": "scale@1"}),
        source=SourceRecord(metric="accuracy", value=0.96875, samples=32),
        variants=(variant,),
        golden=(golden,),
    )


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(*LABELS)


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """A picture for each label."""
    directory = tmp_path / "pictures"
    directory.mkdir()
    paths = {}
    for index, label in enumerate(LABELS):
        picture = np.zeros((12, 10, 3), np.uint8)
        picture[..., index] = 200
        paths[label] = directory / f"{label}.png"
        write_picture(paths[label], picture)
    return paths
