"""Who may import whom; imports are read from the source, which is not run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeprep

ROOT = Path(__file__).parents[2]

# Each room may import the rooms above it. Rooms in one row do not import each other.
ROWS = (
    ("burst", "closing", "collector", "errors", "last_moment", "version"),
    ("tensors", "files", "geometry", "processor", "marks"),
    ("truths",),
    ("interfaces",),
    ("schema", "ranges"),
    ("recipe", "bundle", "pictures", "drawing"),
    ("films",),
    ("hookspecs",),
    ("registry",),
    ("stages", "tasks"),
    ("combine", "monitor", "workers"),
    ("runtime", "stage_parts"),
    ("alone", "data", "importers", "metrics"),
    ("train",),
    ("compress",),
    ("conversion",),
    ("ensembles", "zoo"),
    ("testing", "serve", "explain", "cli"),
    ("__main__",),
)
# What plugins may import: names that the package itself offers, and these modules.
MODULES = {
    "errors",
    "geometry",
    "hookspecs",
    "interfaces",
    # What results look like in a picture.
    "marks",
    # What the processor means for integers, and how much of it is ours, to every engine alike.
    "processor",
    # How a calibrator chooses a range, so that all formats mean the same by its name.
    "ranges",
    "schema",
    "stage_parts",
    "tensors",
    "testing",
    # What samples are held against.
    "truths",
}
PUBLIC = {*MODULES, *edgeprep.__all__}


@dataclass(frozen=True)
class Import:
    """One name that one file imports, such as `edgeprep.stages.chain`."""

    path: Path
    line: int
    module: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.module} {self.name}".rstrip()


def imports_of(package: Path) -> Iterator[Import]:
    """All imports in `package`, those for type checkers and inside functions too."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        inside = [package.name, *path.relative_to(package).with_suffix("").parts]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(path, node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                parents = inside[: len(inside) - node.level] if node.level else []
                module = ".".join([*parents, *filter(None, [node.module])])
                for alias in node.names:
                    yield Import(path, node.lineno, module, alias.name)


def room_of(found: Import) -> str | None:
    """The room of edgeprep that an import reaches; None where it is none of ours."""
    top, *rest = [*found.module.split("."), *filter(None, [found.name])]
    return rest[0] if top == "edgeprep" and rest else None


def arrows_backwards(package: Path) -> list[str]:
    """The imports of `edgeprep` at `package` that go from left to right."""
    rows = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
    wrong = []
    for found in imports_of(package):
        here = found.path.relative_to(package).with_suffix("").parts[0]
        there = room_of(found)
        if here == "__init__" or there in (None, here, "__version__"):
            continue
        if here not in rows or there not in rows or rows[there] >= rows[here]:
            wrong.append(str(found))
    return wrong


def imports_of_plugins(package: Path) -> list[str]:
    """The imports by which `edgeprep` at `package` reaches for a plugin."""
    return [str(found) for found in imports_of(package) if found.module.startswith("edgeprep_")]


def imports_behind_the_door(package: Path) -> list[str]:
    """The imports of the plugin at `package` of other plugins, or of what is not public."""
    wrong = []
    for found in imports_of(package):
        top = found.module.partition(".")[0]
        room = room_of(found)
        if (room is not None and room not in PUBLIC) or (
            top.startswith("edgeprep_") and top != package.name
        ):
            wrong.append(str(found))
    return wrong


def test_every_room_imports_rooms_to_its_left_only():
    assert arrows_backwards(ROOT / "edgeprep") == []


def test_edgeprep_imports_no_plugin():
    assert imports_of_plugins(ROOT / "edgeprep") == []


@pytest.mark.parametrize("package", sorted(ROOT.glob("plugins/*/edgeprep_*")), ids=lambda p: p.name)
def test_a_plugin_imports_public_names_only(package):
    assert imports_behind_the_door(package) == []


def test_no_room_is_called_as_a_name_that_the_package_offers():
    # Importing the room would put the module in the place of the function.
    assert {room for row in ROWS for room in row}.isdisjoint(edgeprep.__all__)


def planted(tmp_path, package, file, source):
    path = tmp_path / package / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path.parents[len(Path(file).parts) - 1]


@pytest.mark.parametrize(
    "source",
    [
        "from edgeprep.runtime import open",
        "import edgeprep.runtime.session",
        "from edgeprep import runtime",
        "from ..runtime import session",
        "import typing\nif typing.TYPE_CHECKING:\n    from edgeprep.runtime import open",
        "def late():\n    from edgeprep.runtime import open",
        "import edgeprep.attic",
        "from edgeprep.tasks import classify",
    ],
)
def test_a_planted_arrow_backwards_is_found(tmp_path, source):
    package = planted(tmp_path, "edgeprep", "stages/resize.py", source)
    assert len(arrows_backwards(package)) == 1


TRAINING = "from edgeprep.train import Augment"


@pytest.mark.parametrize("file", ["stages/random/draw.py", "runtime/session.py", "data/readers.py"])
def test_training_is_known_neither_to_a_device_nor_to_data(tmp_path, file):
    package = planted(tmp_path, "edgeprep", file, TRAINING)
    assert arrows_backwards(package) == [f"{package}/{file}:1 imports edgeprep.train Augment"]


@pytest.mark.parametrize("file", ["compress/distil.py", "conversion/plan.py", "cli/train.py"])
def test_what_comes_after_training_may_import_it(tmp_path, file):
    assert arrows_backwards(planted(tmp_path, "edgeprep", file, TRAINING)) == []


def test_training_may_import_stages_and_data_and_no_conversion(tmp_path):
    source = "from edgeprep.stages.random.draw import draw\nfrom edgeprep.data import Samples\n"
    package = planted(tmp_path, "edgeprep", "train/augment.py", source)
    assert arrows_backwards(package) == []
    planted(tmp_path, "edgeprep", "train/loop.py", "from edgeprep.conversion import convert")
    assert arrows_backwards(package) == [
        f"{package}/train/loop.py:1 imports edgeprep.conversion convert"
    ]


def test_a_planted_room_without_a_place_is_found(tmp_path):
    package = planted(tmp_path, "edgeprep", "attic.py", "import edgeprep.errors")
    assert arrows_backwards(package) == [f"{package}/attic.py:1 imports edgeprep.errors"]


@pytest.mark.parametrize(
    "source",
    [
        "from edgeprep.errors import X",
        "from .chain import Chain",
        "import numpy",
        "import edgeprep",
    ],
)
def test_an_arrow_forwards_is_allowed(tmp_path, source):
    package = planted(tmp_path, "edgeprep", "stages/resize.py", source)
    assert arrows_backwards(package) == []


def test_a_planted_import_of_a_plugin_is_found(tmp_path):
    package = planted(tmp_path, "edgeprep", "cli/run.py", "from edgeprep_onnx import OnnxExporter")
    assert imports_of_plugins(package) == [
        f"{package}/cli/run.py:1 imports edgeprep_onnx OnnxExporter"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from edgeprep.conversion.source import NetworkSource",
        "from edgeprep import registry",
        "from edgeprep.stages.formulas.filters import smooth",
        "import edgeprep_onnx._engine",
    ],
)
def test_a_planted_import_behind_the_door_is_found(tmp_path, source):
    package = planted(tmp_path, "edgeprep_acme", "_export.py", source)
    assert len(imports_behind_the_door(package)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from edgeprep import hookimpl",
        "from edgeprep.stage_parts import smooth",
        "from edgeprep_acme import _engine",
        "import onnx",
    ],
)
def test_an_import_through_the_door_is_allowed(tmp_path, source):
    package = planted(tmp_path, "edgeprep_acme", "_export.py", source)
    assert imports_behind_the_door(package) == []
