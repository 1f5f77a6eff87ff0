"""`edgeprep zoo`: trained networks, as folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.near import NearGroup
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import complain, emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.errors import EdgePrepError, UnknownName
from edgeprep.runtime.explain import format_table
from edgeprep.zoo import ZooModel, copy_model, find_model, zoo_models

__all__ = ["command"]


def _find(context: click.Context, _: click.Parameter, value: Any) -> Any:
    """The models of what was named; it is the caller's fault where there is none."""
    try:
        return tuple(map(find_model, value)) if isinstance(value, tuple) else find_model(value)
    except UnknownName as error:
        raise click.UsageError(str(error), context) from error


def _all() -> tuple[ZooModel, ...]:
    """Every model; that there is none is a fault of the installation."""
    if not (models := zoo_models()):
        raise UnknownName("zoo: must have models, got none; pip install edgeprep-zoo")
    return models


_model_argument = click.argument("model", metavar="NAME", type=NamedPath(), callback=_find)


@click.group(name="zoo", cls=NearGroup)
def command() -> None:
    """Trained networks, as folders with recipe, code, weights and card.

    NAME is one that `edgeprep zoo list` shows; or the path of such a folder, such as ./digits-vit.
    Nothing is downloaded: the zoo comes with a checkout, or with pip install edgeprep-zoo.
    """


def _command(function: Callable[..., None]) -> click.Command:
    options = verbose_option(format_option(function))
    return command.command(name=function.__name__.strip("_"), cls=Command)(options)


@_command
def _list(form: str) -> None:
    """What there is: a line each, with what its card says of it.

    A damaged one is named on stderr, and the exit code is 1.
    """
    found: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for model in _all():
        try:
            found.append(model.to_json())
        except EdgePrepError as error:
            complain(f"{model.name}: {error}")
            failed.append({"name": model.name, "error": str(error)})
    text = format_table(("name", "task", "kB", "metric", "value"), list(map(_row, found)))
    emit(text, {"models": found, "failed": failed}, form)
    if failed:
        raise click.exceptions.Exit(1)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    value = "" if one["value"] is None else f"{one['value']:.3f}"
    return one["name"], one["task"], f"{one['size_bytes'] / 1e3:.0f}", one["metric"], value


@_command
@_model_argument
def _show(model: ZooModel, form: str) -> None:
    """The card of NAME."""
    document = {**model.to_json(), "card": model.card.text, "facts": dict(model.card.facts)}
    emit(model.card.text.rstrip("\n"), document, form)


@_command
@_model_argument
@click.option(
    "-o",
    "--output",
    default=".",
    show_default=True,
    metavar="DIRECTORY",
    type=NamedPath(path_type=Path),
    help="Where the copy is put, under its own name.",
)
@click.option("--overwrite", is_flag=True, help="Replace a folder of that name.")
def _get(model: ZooModel, output: Path, overwrite: bool, form: str) -> None:
    """Copy the folder of NAME, to work on; and beside it those whose files it uses."""
    copied = copy_model(model.directory, output, overwrite=overwrite)
    lines = [f"{path}: whose files it uses" for path in copied.beside]
    lines += [
        f"{path}: whose files it uses; it was there and is left as it is" for path in copied.kept
    ]
    emit("\n".join([*lines, str(copied.directory)]), copied.to_json(), form)


@_command
@_model_argument
@click.option(
    "-o",
    "--output",
    metavar="DIRECTORY",
    type=NamedPath(path_type=Path),
    help="Where weights and all else is put; NAME-training by default.",
)
@click.option("--overwrite", is_flag=True, help="Train anew, whatever the directory holds.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr, only warnings.")
def _train(model: ZooModel, output: Path | None, overwrite: bool, quiet: bool, form: str) -> None:
    """Train NAME anew, by its train.py or its recipe, and score it on its evaluation data."""
    target = output or Path(f"{model.name}-training")
    with workstation_only("zoo train"):
        from edgeprep.cli._zoo import train

    result = train(model, target, overwrite=overwrite, quiet=quiet)
    # A process that another one started for a second device has nothing to say.
    if result is not None:
        emit(*result, form)


@_command
@click.argument("models", metavar="[NAME]...", nargs=-1, type=NamedPath(), callback=_find)
@click.option("--quick", is_flag=True, help="Without the score on all evaluation data.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr, only warnings.")
def _verify(models: tuple[ZooModel, ...], quick: bool, quiet: bool, form: str) -> None:
    """Hold each NAME, or every one, to its card: digests, weights, golden samples, and score.

    Exit codes: 0 all is as it should be, 1 something is not, 2 wrong usage.
    """
    with workstation_only("zoo verify"):
        from edgeprep.cli._zoo import verify

    text, document = verify(models or _all(), quick=quick, quiet=quiet)
    emit(text, document, form)
    if not document["passed"]:
        raise click.exceptions.Exit(1)
