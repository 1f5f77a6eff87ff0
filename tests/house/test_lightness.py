import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What a device has: these rooms, and the command line that stands on them.
ROOMS = (
    "burst",
    "closing",
    "errors",
    "last_moment",
    "tensors",
    "geometry",
    "marks",
    "truths",
    "processor",
    "files",
    "interfaces",
    "schema",
    "recipe",
    "bundle",
    "pictures",
    "films",
    "hookspecs",
    "registry",
    "stages",
    "tasks",
    "combine",
    "monitor",
    "workers",
    "runtime",
    "stage_parts",
)
# What a device need not have. click and rich are for people, and an application has none.
HEAVY = (
    "PIL",
    "ai_edge_litert",
    "ai_edge_quantizer",
    "av",
    "click",
    "cv2",
    "litert_torch",
    "nncf",
    "onnx",
    "onnxruntime",
    "opentelemetry",
    "openvino",
    "prometheus_client",
    "rich",
    "safetensors",
    "scipy",
    "skimage",
    "sklearn",
    "tflite_runtime",
    "torch",
)
# Interpreters of F, and of ONNX, that need more than numpy: they are for the workstation, but for
# OpenCV's, which is loaded where it is installed and quicker.
INTERPRETERS = ("torch.py", "onnx.py", "onnx_foreign.py", "onnx_module/", "opencv.py")
HEAVY_FILES = tuple(f"stages/primitives/{name}" for name in INTERPRETERS)


def modules_of_the_device():
    """Every module of the device's rooms but the heavy twins, whose names start with `_`."""
    package = ROOT / "edgeprep"
    files = [package / f"{room}.py" for room in ROOMS]
    files += [path for room in ROOMS for path in (package / room).rglob("*.py")]
    for path in sorted(path for path in files if path.is_file()):
        inside = path.relative_to(package)
        twin = path.stem.startswith("_") and path.stem != "__init__"
        if not twin and not inside.as_posix().startswith(HEAVY_FILES):
            yield ".".join(["edgeprep", *inside.with_suffix("").parts]).removesuffix(".__init__")


def loaded_by(statements, *heavy):
    """Which of `heavy` a fresh interpreter has loaded after `statements`."""
    script = f"{statements}\nimport sys\nprint(*sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_rooms_of_the_device_load_nothing_heavy():
    modules = list(modules_of_the_device())
    assert {"edgeprep.stages.chain", "edgeprep.runtime", "edgeprep.schema.read"} <= set(modules)
    assert loaded_by(f"import {', '.join(modules)}", *HEAVY) == []


def test_listing_everything_that_is_installed_loads_nothing_heavy():
    listing = (
        "from edgeprep.registry import default_registry\n"
        "registry = default_registry()\n"
        "assert registry.plugins() and registry.classes('backend')"
    )
    assert loaded_by(listing, *HEAVY) == []


def test_what_an_application_types_loads_nothing_heavy():
    names = "edgeprep.open, edgeprep.Session, edgeprep.Bundle, edgeprep.EdgePrepError"
    # These cost a device as much time as a half of edgeprep does.
    slow = ("importlib.metadata", "logging", "numpy.random", "pathlib")
    assert loaded_by(f"import edgeprep\n{names}", *slow, *HEAVY) == []


def test_importing_the_package_loads_nothing_at_all():
    assert loaded_by("import edgeprep", "numpy", "pluggy", "msgspec", *HEAVY) == []


def test_something_heavy_is_seen():
    assert loaded_by("import edgeprep, PIL", *HEAVY) == ["PIL"]


@pytest.mark.parametrize("file", HEAVY_FILES)
def test_what_is_left_out_is_there(file):
    assert (ROOT / "edgeprep" / file).exists()
