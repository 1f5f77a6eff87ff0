"""The bundles that are measured: converted once, and again when what they are made of changes."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "WORKSPACE", "bundle", "edgeprep"]

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = ROOT / "build" / "bench"
MODELS = Path(__file__).parent / "models"
ZOO = ROOT / "model_zoo"
RECIPES = {
    **{path.parent.name: path for path in ZOO.glob("*/recipe.toml")},
    "digits-pipeline": ZOO / "digits-mobilenet" / "pipeline.toml",
    **{path.stem: path for path in MODELS.glob("*.toml")},
}
# `--reuse` sets it: a bundle that is there is taken as it is.
REUSE = "EDGEPREP_BENCH_REUSE"
# What the command does, with another seed than the recipe's.
WITH_SEED = """
import sys
from dataclasses import replace
import edgeprep
from edgeprep.recipe import load_recipe
path, output, seed = sys.argv[1:]
recipe = load_recipe(path)
recipe = replace(recipe, train=replace(recipe.train, seed=int(seed)))
edgeprep.convert(recipe, output, overwrite=True)
"""


def bundle(name: str, *, seed: int | None = None) -> Path:
    """The bundle of a model, newer than every file that it is made from.

    Args:
        name: one of `RECIPES`.
        seed: of its training, in the place of the recipe's.
    """
    suffix = "" if seed is None else f"-seed-{seed}"
    path = WORKSPACE / f"{name}{suffix}.edgeprep"
    if not path.is_file() or (REUSE not in os.environ and path.stat().st_mtime < newest(name)):
        print(f"converting {path.stem}", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [*edgeprep(), "convert", RECIPES[name], "-o", path, "--overwrite", "--quiet"]
        if seed is not None:
            command = [sys.executable, "-c", WITH_SEED, RECIPES[name], path, str(seed)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{path.stem}: {done.stderr}")
    return path


def newest(name: str) -> float:
    """When the last of the sources of a bundle was changed."""
    folders = (RECIPES[name].parent, ROOT / "edgeprep", *(ROOT / "plugins").glob("*/edgeprep_*"))
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    return max(path.stat().st_mtime for path in (RECIPES[name], *sources))


def edgeprep() -> list[str | Path]:
    """The command, as this environment has it."""
    return [Path(sys.executable).with_name("edgeprep")]
