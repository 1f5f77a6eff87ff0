"""Bundles of networks that take clips, or that remember, on the command line."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import open_bundle, write_bundle
from edgeprep.tensors import TensorSpec

Run = Callable[..., Any]
Make = Callable[..., Path]

RED, GREEN, BLUE = (200, 0, 0), (0, 250, 0), (0, 0, 250)


@pytest.fixture
def of_clips(bundle: Path, tmp_path: Path) -> Path:
    """A bundle of a network that takes two pictures at once, and names their brightest channel."""
    from edgeprep_fakes import CLIP, ClipRunner

    clip = np.random.default_rng(7).integers(1, 256, CLIP.shape, dtype=np.uint8)
    (scores,) = ClipRunner().run((clip,))
    plain = open_bundle(bundle).manifest
    (variant,), (golden,) = plain.variants, plain.golden
    made = replace(
        plain,
        input=replace(plain.input, batch=2),
        task={**plain.task, "use": "video-classify"},
        variants=(replace(variant, input=CLIP),),
        golden=(
            replace(
                golden,
                input=CLIP,
                outputs=(replace(golden.outputs[0], shape=scores.shape),),
            ),
        ),
    )
    members = {
        "variants/fake-fp32/model.fake": b"clip",
        "golden/split/input.bin": clip.tobytes(),
        "golden/split/output-0.bin": scores.tobytes(),
        "golden/fake-fp32/0.bin": scores.tobytes(),
    }
    path = tmp_path / "clips.edgeprep"
    write_bundle(path, made, members)
    return path


@pytest.mark.parametrize(
    ("every", "wanted"),
    [
        # Of two frames the brighter one counts.
        ((), [(1, "green"), (2, "green"), (3, "blue"), (4, "blue")]),
        (("--every", "2"), [(1, "green"), (3, "blue")]),
        (("--every", "3"), [(1, "green"), (4, "blue")]),
    ],
    ids=["each", "2", "3"],
)
def test_a_window_slides_over_a_film_by_so_many_frames(
    edgeprep: Run, of_clips: Path, film: Make, every: tuple[str, ...], wanted: Any
) -> None:
    path = film("film.mp4", RED, GREEN, (0, 200, 0), BLUE, BLUE)
    ended = edgeprep("run", of_clips, path, *every, "--format", "jsonl")
    assert ended.code == 0
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(line["frame"], line["label"]) for line in lines if "frame" in line] == wanted


def test_a_window_slides_over_a_live_source(edgeprep: Run, of_clips: Path, film: Make) -> None:
    path = film("film.mp4", *[RED] * 9, fps=20)
    words = ("--camera", path, "--headless", "--every", "4", "--format", "jsonl")
    ended = edgeprep("run", of_clips, *words)
    assert ended.code == 0
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    # Of nine, or fewer where some are left out: at the second, and each fourth after it.
    frames = [line["frame"] for line in lines if "label" in line]
    assert frames[:1] == [1]
    assert all(later - earlier == 4 for earlier, later in itertools.pairwise(frames))


def test_every_is_refused_where_there_is_no_window(
    edgeprep: Run, bundle: Path, film: Make, pictures: dict[str, Path]
) -> None:
    path = film("film.mp4", RED)
    for words, message in (
        ((pictures["red"],), "--every: needs films or a live source, got pictures alone"),
        (
            (path,),
            "--every: needs a bundle whose network takes clips, got one that takes single pictures",
        ),
        (
            ("--camera", path, "--headless"),
            "--every: needs a bundle whose network takes clips, got one that takes single pictures",
        ),
    ):
        ended = edgeprep("run", bundle, *words, "--every", "2")
        assert ended.code == 2
        assert message in " ".join(ended.stderr.split())


def test_inspect_says_how_many_frames_a_clip_has(edgeprep: Run, of_clips: Path) -> None:
    lines = edgeprep("inspect", of_clips).stdout.splitlines()
    assert "input      rgb any size, clips of 2 frames" in lines


def test_inspect_shows_what_is_remembered(edgeprep: Run, bundle: Path, tmp_path: Path) -> None:
    hidden = TensorSpec(name="hidden", shape=(1, 2, 4, 4), dtype="float32")
    gone = replace(hidden, name="next_hidden")
    opened = open_bundle(bundle)
    (variant,), (golden,) = opened.manifest.variants, opened.manifest.golden
    repeated = tuple(replace(spec, shape=(4, 2, 4, 4)) for spec in (hidden, gone))
    path = tmp_path / "remembers.edgeprep"
    write_bundle(
        path,
        replace(
            opened.manifest,
            variants=(
                replace(
                    variant,
                    states=(hidden,),
                    outputs=(*variant.outputs, gone),
                    golden_outputs=(*variant.golden_outputs, "golden/states"),
                ),
            ),
            golden=(
                replace(
                    golden,
                    states=repeated[:1],
                    state_members=("golden/states",),
                    outputs=(*golden.outputs, repeated[1]),
                    output_members=(*golden.output_members, "golden/states"),
                ),
            ),
        ),
        {
            **{one.name: opened.member(one.name) for one in opened.manifest.members},
            "golden/states": np.zeros((4, 2, 4, 4), np.float32).tobytes(),
        },
    )
    lines = edgeprep("inspect", path).stdout.splitlines()
    assert "state      hidden float32 1×2×4×4" in lines
    document = json.loads(edgeprep("inspect", path, "--format", "json").stdout)
    (told,) = document["manifest"]["variants"]
    assert told["states"] == [{"name": "hidden", "shape": [1, 2, 4, 4], "dtype": "float32"}]
