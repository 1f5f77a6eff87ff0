"""The bundles that are measured: converted once, and again when what they are made of changes."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "WORKSPACE", "bundle", "edgeprep"]

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = ROOT / "build" / "bench"
MODELS = Path(__file__).parent / "models"
RECIPES = {
    "digits-mobilenet": ROOT / "model_zoo" / "digits-mobilenet" / "recipe.toml",
    "digits-pipeline": ROOT / "model_zoo" / "digits-mobilenet" / "pipeline.toml",
    "digits-resnet": ROOT / "model_zoo" / "digits-resnet" / "recipe.toml",
    **{path.stem: path for path in MODELS.glob("*.toml")},
}
# `--reuse` sets it: a bundle that is there is taken as it is.
REUSE = "EDGEPREP_BENCH_REUSE"


def bundle(name: str) -> Path:
    """The bundle of a model, newer than every file that it is made from."""
    path = WORKSPACE / f"{name}.edgeprep"
    if not path.is_file() or (REUSE not in os.environ and path.stat().st_mtime < newest(name)):
        print(f"converting {name}", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [*edgeprep(), "convert", RECIPES[name], "-o", path, "--overwrite", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
    return path


def newest(name: str) -> float:
    """When the last of the sources of a bundle was changed."""
    folders = (RECIPES[name].parent, ROOT / "edgeprep", *(ROOT / "plugins").glob("*/edgeprep_*"))
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    return max(path.stat().st_mtime for path in (RECIPES[name], *sources))


def edgeprep() -> list[str | Path]:
    """The command, as this environment has it."""
    return [Path(sys.executable).with_name("edgeprep")]
