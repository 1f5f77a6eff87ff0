"""`edgeprep import`: preprocessing that another library has written down, for a recipe."""

import json
from pathlib import Path
from typing import Any

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.errors import RecipeError, StorageError
from edgeprep.files import atomic_write, check_no_input, check_output, open_regular
from edgeprep.importers import KINDS, from_json, to_toml
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec

__all__ = ["command"]

# Configurations are a few kB; what is larger is some other file.
MAX_SIZE_BYTES = 1_000_000
NOTHING = "# no stage is needed: the network takes levels of 0 to 255 as they are"


@click.command(name="import", cls=Command)
@click.argument("file", type=NamedPath(path_type=Path))
@click.option(
    "--from",
    "kind",
    type=click.Choice(["auto", *KINDS]),
    default="auto",
    show_default=True,
    help="The library that the file is of.",
)
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path),
    help="Write the text there too, as a file to paste from.",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@verbose_option
@format_option
def command(file: Path, kind: str, output: Path | None, overwrite: bool, form: str) -> None:
    """Print the [[preprocess]] part of a recipe that does what FILE, a JSON file, says.

    FILE is a preprocessor_config.json (transformers), a config.json (timm), arguments of
    OpenVINO's Model Optimizer, or an image processor of ONNX Runtime Extensions.
    """
    if output is not None:
        check_output(output, overwrite=overwrite)
        check_no_input(output, file)
    config = _load(file)
    try:
        found, tables = from_json(config, kind=kind)
        # A recipe must take what is printed, limits included.
        Chain.build(tables, input=ImageSpec(), registry=default_registry())
    except RecipeError as fault:
        raise RecipeError(f"{file}: {fault}") from fault
    text = to_toml(tables) or NOTHING
    if output is not None:
        atomic_write(output, [f"{text}\n".encode()], overwrite=overwrite)
    document = {
        "file": str(file),
        "from": found,
        "output": None if output is None else str(output),
        "preprocess": list(tables),
    }
    emit(text, document, form)


def _load(path: Path) -> Any:
    try:
        with open_regular(path) as stream:
            content = stream.read(MAX_SIZE_BYTES + 1)
    except StorageError as fault:
        raise RecipeError(str(fault)) from fault
    if len(content) > MAX_SIZE_BYTES:
        raise RecipeError(f"{path}: must have at most {MAX_SIZE_BYTES} bytes, got more")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        got = content[fault.start : fault.end]
        raise RecipeError(f"{path}: must be UTF-8, got {got!r}") from fault
    except ValueError as fault:
        raise RecipeError(f"{path}: must be JSON, got {fault}") from fault
    except RecursionError:
        raise RecipeError(f"{path}: must be JSON, got values nested too deeply") from None
