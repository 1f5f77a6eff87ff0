"""A device: edgeprep, one plugin and its engine, and no other package of this environment."""

import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.bundles import ROOT, WORKSPACE

__all__ = ["device_folder"]


def device_folder(plugin: str) -> Path:
    """A folder with links to what `pip install plugin[runtime]` would put on a device."""
    folder = WORKSPACE / "device" / plugin
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in needed(Requirement(f"{plugin}[runtime]"), set()):
        found = distribution(name)
        for source in sources(found):
            target = folder / source.name
            if not target.exists():
                target.symlink_to(source)
    return folder


def needed(requirement: Requirement, seen: set[str]) -> Iterator[str]:
    """The distribution that is required, and all that it requires in turn."""
    if str(requirement) in seen:
        return
    seen.add(str(requirement))
    yield requirement.name
    for line in distribution(requirement.name).requires or ():
        following = Requirement(line)
        extras = requirement.extras or {""}
        if not following.marker or any(following.marker.evaluate({"extra": e}) for e in extras):
            following.marker = None
            yield from needed(following, seen)


def sources(found: Distribution) -> set[Path]:
    """The files and folders of a distribution that lie on sys.path."""
    files = {Path(str(found.locate_file(file.parts[0]))) for file in found.files or ()}
    listed = {path for path in files if path.is_dir() or path.suffix in (".py", ".so")}
    # Those of this checkout run from their sources, of which an installation lists none.
    package = found.name.replace("-", "_")
    ours = (ROOT / package, ROOT / "plugins" / found.name / package)
    return {path for path in listed if path.name not in ("..", "bin")} | {
        path for path in ours if path.is_dir() and found.name.startswith("edgeprep")
    }
