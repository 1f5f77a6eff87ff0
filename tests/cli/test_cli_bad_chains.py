"""Preprocessing that cannot be, as commands that read a recipe or a bundle tell of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgeprep.bundle import open_bundle, write_bundle

Run = Callable[..., Any]
Project = Callable[..., Path]

OURS = """
[[preprocess]]
use  = "resize"
size = [8, 8]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]
"""
NORMALIZE = """
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]
"""
RESIZE = """
[[preprocess]]
use  = "resize"
size = [8, 8]
"""
DENOISE = """
[[preprocess]]
use = "non-local-means"
h   = 3.0
"""
CHAINS = {
    "an image type that does not fit": (
        RESIZE + NORMALIZE + '[[preprocess]]\nuse = "clahe"',
        (
            "preprocess[2]: clahe needs values in 0..255, got 'normalized'; "
            "put this stage before normalize and scale"
        ),
    ),
    "a size of zero": (
        OURS.replace("[8, 8]", "[8, 0]"),
        "preprocess[0].size[1]: must be at least 1 and at most 16384, got 0",
    ),
    "a size beyond limits": (
        OURS.replace("[8, 8]", "[16384, 16384]"),
        "preprocess[0].size: must have at most 67108864 pixels, got [16384, 16384]",
    ),
    "a sigma out of range": (
        OURS + '[[preprocess]]\nuse = "gaussian"\nsigma = 0',
        "preprocess[2].sigma: must be at least 0.1 and at most 100.0, got 0",
    ),
    "a clip out of range": (
        OURS + '[[preprocess]]\nuse = "clahe"\nclip = -2.0',
        "preprocess[2].clip: must be above 0 and at most 256, got -2.0",
    ),
    "percentiles out of range": (
        OURS + '[[preprocess]]\nuse = "stretch"\nlow = 2\nhigh = 101',
        "preprocess[2].high: must be at least 0 and at most 100, got 101",
    ),
    "a grid that does not divide": (
        RESIZE + '[[preprocess]]\nuse = "tile"\nsize = [3, 4]' + NORMALIZE,
        (
            "preprocess[1]: tile needs pictures that tiles of [3, 4] pixels with overlap [0, 0] "
            "cover exactly, got [8, 8]; pad to [9, 8] first"
        ),
    ),
    "a newer stage": (
        OURS.replace('"resize"', '"resize@9"'),
        "preprocess[0].use: unknown stage 'resize@9'; upgrade edgeprep, whose newest is 'resize@1'",
    ),
}


@pytest.fixture
def refused(
    edgeprep: Run, pictures: dict[str, Path], left_behind: Callable[[], list[str]]
) -> Callable[[str, Path], str]:
    """Runs a command on a recipe that must fail; gives the last line of stderr."""

    def run(command: str, recipe: Path) -> str:
        rest = {"check": (), "preprocess": (pictures["red"],), "convert": ("-o", "out.edgeprep")}
        ended = edgeprep(command, recipe, *rest[command])
        assert (ended.code, ended.stdout) == (2, "")
        assert left_behind() == []
        return str(ended.stderr.splitlines()[-1])

    return run


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("command", ["check", "preprocess", "convert"])
def test_a_chain_is_refused_by_every_command(
    refused: Callable[[str, Path], str], project: Project, command: str, chain: str
) -> None:
    text, message = CHAINS[chain]
    assert refused(command, project({OURS: text})) == f"edgeprep: {message}"


@pytest.mark.parametrize("command", ["check", "convert"])
def test_a_graph_that_cannot_hold_a_stage(
    refused: Callable[[str, Path], str], project: Project, command: str
) -> None:
    text = {'name = "small"': 'name = "small"\nplacement = "graph"', OURS: RESIZE + DENOISE}
    assert refused(command, project(text)) == (
        "edgeprep: preprocess[1]: non-local-means must run on the host, got placement 'graph'; "
        "it compares every pixel with hundreds of others, which would be thousands of operations; "
        "use placement = 'split' or 'host'"
    )


@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_a_bundle_with_a_newer_stage_says_what_to_upgrade(
    edgeprep: Run, bundle: Path, pictures: dict[str, Path], command: str
) -> None:
    whole = open_bundle(bundle)
    chain = ({"use": "resize@9", "size": [8, 8]}, {"use": "scale@1"})
    write_bundle("newer.edgeprep", replace(whole.manifest, chain=chain), dict(whole.contents))
    words = ("newer.edgeprep", pictures["red"]) if command == "run" else ("newer.edgeprep",)
    ended = edgeprep(command, *words)
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: newer.edgeprep: must have stages and a task that are installed here, got "
        "preprocess[0].use: unknown stage 'resize@9'; upgrade edgeprep, whose newest is "
        "'resize@1'; install the plugin that offers it, or a newer edgeprep\n"
    )
    # What it is made of can still be seen.
    assert "resize@9 size=[8, 8]" in edgeprep("inspect", "newer.edgeprep").stdout
