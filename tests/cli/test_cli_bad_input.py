"""`edgeprep convert` on all that can be wrong: the whole message, and nothing left behind."""

import json
import pickle  # noqa: TID251 -- to make the checkpoint that must not be loaded
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from edgeprep.pictures import write_picture

Run = Callable[..., Any]
Project = Callable[..., Path]
LeftBehind = Callable[[], list[str]]


@pytest.fixture
def refused(edgeprep: Run, left_behind: LeftBehind) -> Callable[[Path], tuple[int, str]]:
    """Converts a recipe that must fail; gives the exit code and the last line of stderr."""

    def convert(recipe: Path) -> tuple[int, str]:
        before = left_behind()
        ended = edgeprep("convert", recipe, "-o", "out.edgeprep")
        assert ended.stdout == ""
        assert left_behind() == before
        return ended.code, ended.stderr.splitlines()[-1]

    return convert


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "must be a file that can be read, got 'No such file or directory'"),
        ("", "must be a recipe, got an empty file"),
        ("name = ", "must be TOML, got Invalid value (at end of document)"),
    ],
    ids=["missing", "empty", "malformed"],
)
def test_a_recipe_that_is_none(
    refused: Run, tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_text(content)
    assert refused(path) == (2, f"edgeprep: {path}: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[data]", "[date]", "date: unknown key; did you mean 'data'?"),
        (
            '"int8"]',
            '"int7"]',
            (
                "target[0].precision[1]: must be one of 'bf16', 'fp16', 'fp32', 'int8', "
                "'int8-dynamic', 'int8-int16', 'int8-weight-only', got 'int7'; "
                "did you mean 'int8'?"
            ),
        ),
        (
            '"resize"',
            '"resise"',
            "preprocess[0].use: unknown stage 'resise'; did you mean 'resize'?",
        ),
        (
            '"fake"',
            '"fkae"',
            "target[0].format: unknown exporter 'fkae'; did you mean 'fake'?",
        ),
        (
            'calibration = { factory = "data:others" }',
            "",
            (
                "target[0].precision: 'int8' needs data.calibration, got none; "
                'name pictures there; noise only by its name, { use = "random", samples = 64 }'
            ),
        ),
        (
            'evaluation  = { factory = "data:pictures" }',
            '[budget]\nmetric = "accuracy"\nmax_drop = 0.1',
            (
                "budget: needs data.evaluation to be measured on, got none; "
                "add it, or leave [budget] out"
            ),
        ),
        (
            "[data]",
            '[[preprocess]]\nuse = "normalize"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n[data]',
            (
                "preprocess[2]: normalize needs values in 0..255 or 0..1, got 'normalized'; "
                "normalize only once"
            ),
        ),
    ],
    ids=[
        "unknown key",
        "unknown precision",
        "unknown stage",
        "unknown format",
        "no calibration pictures",
        "budget without evaluation",
        "impossible order of stages",
    ],
)
def test_a_recipe_that_breaks_a_rule(
    refused: Run, project: Project, old: str, new: str, message: str
) -> None:
    code, line = refused(project({old: new}))
    assert code == 2
    assert line == f"edgeprep: {message}"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("model:number", "'model:number' must return a torch.nn.Module, got 'int'"),
        (
            "model:failing",
            "'model:failing' must return a torch.nn.Module, got KeyError: 'hub' (model.py:27)",
        ),
        ("model:bild", "module 'model' has no function 'bild'; did you mean 'build'?"),
    ],
)
def test_a_factory_that_gives_no_network(
    refused: Run, project: Project, factory: str, message: str
) -> None:
    recipe = project({"model:build": factory})
    assert refused(recipe) == (2, f"edgeprep: model.factory: {message}")


def test_fewer_labels_than_the_network_has_classes(refused: Run, project: Project) -> None:
    names = {'["red", "green", "blue"]': '["red", "green"]'}
    assert refused(project(names | {'evaluation  = { factory = "data:pictures" }': ""})) == (
        2,
        "edgeprep: task.labels: must name each of the network's 3 classes, got 2 labels",
    )


WEIGHT = {"head.weight": torch.eye(3)}
REMEDY = "; load what this network was saved to, or have the factory make the one that it is of"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, f"'weights.safetensors' must fit the network, got keys missing: head.weight{REMEDY}"),
        (
            WEIGHT | {"tail": torch.ones(1)},
            f"'weights.safetensors' must fit the network, got keys unexpected: tail{REMEDY}",
        ),
        (
            {"head.weight": torch.eye(4)},
            (
                "'weights.safetensors' must fit the network, "
                f"got keys of another shape: head.weight (4, 4) for (3, 3){REMEDY}"
            ),
        ),
        (
            {"head.weight": torch.full((3, 3), torch.nan)},
            "all values must be finite, got NaN or infinity in tensors: head.weight",
        ),
    ],
    ids=["missing", "extra", "wrong shape", "nan"],
)
def test_weights_that_do_not_fit(
    refused: Run, project: Project, state: dict[str, torch.Tensor], message: str
) -> None:
    recipe = project({'"model:build"': '"model:build"\nweights = "weights.safetensors"'})
    safetensors.torch.save_file(state, recipe.parent / "weights.safetensors")
    assert refused(recipe) == (1, f"edgeprep: model.weights: {message}")


def test_weights_that_are_not_there(refused: Run, project: Project) -> None:
    recipe = project({'"model:build"': '"model:build"\nweights = "absent.pt"'})
    path = recipe.parent / "absent.pt"
    assert refused(recipe) == (
        1,
        f"edgeprep: model.weights: must be a file, got 'absent.pt'; looked for {str(path)!r}",
    )


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return Path.touch, (self.path,)


def test_a_pickled_checkpoint_is_refused_and_never_executed(
    refused: Run, project: Project, tmp_path: Path
) -> None:
    recipe = project({'"model:build"': '"model:build"\nweights = "weights.pt"'})
    content = pickle.dumps({"head.weight": Canary(tmp_path / "executed")})
    (recipe.parent / "weights.pt").write_bytes(content)
    assert refused(recipe) == (
        1,
        (
            "edgeprep: model.weights: 'weights.pt' must hold tensors only, got a pickle that names "
            "other things; save network.state_dict(), best as safetensors"
        ),
    )
    assert not (tmp_path / "executed").exists()
    pickle.loads(content)  # noqa: S301 -- the canary works
    assert (tmp_path / "executed").exists()


def test_a_factory_without_pictures(refused: Run, project: Project) -> None:
    recipe = project({'calibration = { factory = "data:others" }': NO_PICTURES})
    assert refused(recipe) == (
        1,
        "edgeprep: data.calibration: must have at least one picture, got 0",
    )


NO_PICTURES = 'calibration = { factory = "data:nothing" }'
FOLDER = {
    'calibration = { factory = "data:others" }': (
        'calibration = { use = "image-folder", path = "pictures" }'
    )
}


@pytest.fixture
def folder(project: Project) -> tuple[Path, Path]:
    """A recipe that calibrates on a directory, and that directory, with 20 pictures."""
    recipe = project(FOLDER)
    directory = recipe.parent / "pictures"
    directory.mkdir()
    generator = np.random.default_rng(0)
    for index in range(20):
        picture = generator.integers(0, 256, (9, 8, 3), np.uint8)
        write_picture(directory / f"{index:02}.png", picture)
    return recipe, directory


def test_no_directory_of_pictures(refused: Run, folder: tuple[Path, Path]) -> None:
    recipe, directory = folder
    shutil.rmtree(directory)
    message = f"data.calibration.path: must be a directory, got {str(directory)!r}"
    assert refused(recipe) == (1, f"edgeprep: {message}")


def test_an_empty_directory_of_pictures(refused: Run, folder: tuple[Path, Path]) -> None:
    recipe, directory = folder
    for path in directory.iterdir():
        path.unlink()
    message = f"data.calibration.path: must have pictures, got none in {str(directory)!r}"
    assert refused(recipe) == (1, f"edgeprep: {message}")


def test_an_unreadable_picture_among_many_is_left_out_and_counted(
    edgeprep: Run, folder: tuple[Path, Path]
) -> None:
    recipe, directory = folder
    (directory / "07.png").write_bytes(b"not a picture")
    ended = edgeprep("convert", recipe)
    assert ended.code == 0
    left_out = (
        "calibration: 19 samples, 1 unreadable left out: '07.png' "
        f"({directory}/07.png: must be a JPEG, PNG, WEBP or BMP file, "
        "got one that starts with b'not a pictur'); evaluation: 24 samples"
    )
    assert left_out in ended.stderr
    quiet = edgeprep("convert", recipe, "--overwrite", "--quiet", "--format", "json")
    warning = "data.calibration: 1 unreadable left out: '07.png'"
    assert warning in json.loads(quiet.stdout)["warnings"]
    assert warning in quiet.stderr


def test_too_many_unreadable_pictures(refused: Run, folder: tuple[Path, Path]) -> None:
    recipe, directory = folder
    for index in range(15):
        (directory / f"{index:02}.png").write_bytes(b"no")
    assert refused(recipe) == (
        1,
        (
            "edgeprep: data.calibration: at most 10% and 100 pictures may be unreadable, "
            f"got 15 of 20; the first is '00.png': {directory}/00.png: "
            "must be a JPEG, PNG, WEBP or BMP file, got one that starts with b'no'"
        ),
    )


def test_fewer_classes_than_labels(refused: Run, project: Project) -> None:
    recipe = project({'evaluation  = { factory = "data:pictures" }': TWO_PICTURES})
    assert refused(recipe) == (
        1,
        (
            "edgeprep: data.evaluation: must have pictures of all 3 classes, got 2; "
            "there is none of 'blue'"
        ),
    )


TWO_PICTURES = 'evaluation = { factory = "data:pictures", arguments = { count = 2 } }'


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/out.edgeprep", "must lie in an existing directory, got 'none'"),
        ("pipe", "must be a regular file, got a pipe"),
        ("/dev/full", "must be a regular file, got a device"),
    ],
)
def test_an_output_that_cannot_be(
    edgeprep: Run, project: Project, output: str, message: str
) -> None:
    import os

    os.mkfifo("pipe")
    ended = edgeprep("convert", project(), "-o", output, "--overwrite")
    assert (ended.code, ended.stdout) == (2, "")
    # And no step before it.
    assert ended.stderr == f"edgeprep: {output}: {message}\n"


@pytest.mark.parametrize("pattern", ["*", "head"])
def test_a_target_that_keeps_every_layer_in_float(
    refused: Run, project: Project, pattern: str
) -> None:
    recipe = project(more=f'keep_float = ["{pattern}"]')
    message = (
        "target[0].keep_float: must leave a layer with weights to be quantized, "
        "got patterns that keep all 1; name fewer of them, or leave keep_float and 'int8' out"
    )
    assert refused(recipe) == (2, f"edgeprep: {message}")
