"""`edgeprep import` on all that can be wrong: the whole message, and the exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

VIT = {"image_processor_type": "ViTImageProcessor"}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration."""

    def write(config: object = VIT) -> Path:
        path = tmp_path / "config.json"
        path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
        return path

    return write


def test_an_output_beside_nothing(edgeprep: Run, file: Callable[..., Path], tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    ended = edgeprep("import", file(), "-o", absent / "part.toml")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"edgeprep: {absent / 'part.toml'}: must lie in an existing directory, "
        f"got {str(absent)!r}\n"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"", "must be JSON, got Expecting value: line 1 column 1 (char 0)"),
        (b'{"size": ', "must be JSON, got Expecting value: line 1 column 10 (char 9)"),
        (b'{"a": "\xe9"}', r"must be UTF-8, got b'\xe9'"),
        (b"[" * 100_000, "must be JSON, got values nested too deeply"),
        (b" " * 1_000_001, "must have at most 1000000 bytes, got more"),
        ([1], "must be an object with keys, got [1]"),
        (
            {"hidden_size": 768},
            (
                "must have a key that tells its library, such as 'pretrained_cfg', "
                "'image_processor_type', 'processor', 'model_optimizer_args', got ['hidden_size']; "
                "name the library with --from (kind=)"
            ),
        ),
        (
            VIT | {"resample": 1},
            (
                "resample: must be bilinear or bicubic (2 or 3 as Pillow counts), got 'lanczos'; "
                "no other way to resize means the same in every engine; fine-tune with one of these"
            ),
        ),
        (VIT | {"size": 20000}, "size: must be at most 16384 pixels, got 20000"),
        # What an importer takes, and a stage does not.
        (
            VIT | {"size": 16384},
            "preprocess[0].size: must have at most 67108864 pixels, got [16384, 16384]",
        ),
    ],
    ids=[
        "empty",
        "cut off",
        "Latin-1",
        "nested",
        "too large",
        "a list",
        "no library",
        "lanczos",
        "too long a side",
        "too many pixels",
    ],
)
def test_a_file_that_cannot_be_imported(
    edgeprep: Run, file: Callable[..., Path], config: object, message: str
) -> None:
    path = file(config)
    ended = edgeprep("import", path)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"edgeprep: {path}: {message}\n"


def test_a_file_of_another_library_than_is_said(edgeprep: Run, file: Callable[..., Path]) -> None:
    path = file()
    ended = edgeprep("import", path, "--from", "timm")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"edgeprep: {path}: input_size: must be [3, height, width], got None; "
        "it is in a model's pretrained_cfg, and in its config.json\n"
    )


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("absent.json", "must be a file that can be read, got 'No such file or directory'"),
        (".", "must be a regular file, got a directory"),
        # Files are small, and errors name them: there is no reading from a pipe.
        ("-", "must be a file that can be read, got 'No such file or directory'"),
    ],
)
def test_no_file(edgeprep: Run, name: str, rule: str) -> None:
    ended = edgeprep("import", name)
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", f"edgeprep: {name}: {rule}\n")


def test_a_pipe_is_not_waited_for(spawn: Run) -> None:
    ended = spawn("import", "/dev/stdin", stdin=-1)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "edgeprep: /dev/stdin: must be a regular file, got a pipe\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing argument 'FILE'."),
        (("",), "Invalid value for 'FILE': must be a path, got ''"),
        (
            ("x.json", "--from", "tim"),
            (
                "Invalid value for '--from': 'tim' is not one of 'auto', 'transformers', 'timm', "
                "'openvino', 'onnxruntime-extensions'."
            ),
        ),
        (("x.json", "-o", ""), "Invalid value for '-o' / '--output': must be a path, got ''"),
    ],
)
def test_wrong_usage(edgeprep: Run, words: tuple[str, ...], message: str) -> None:
    ended = edgeprep("import", *words)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"Error: {message}"
