"""Checks of a pass: a network comes out, the same one each time, and nothing else is touched."""

from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgeprep.interfaces import Pass
from edgeprep.registry.offers import in_one_line
from edgeprep.testing.rules import (
    ConformanceError,
    forbid_errors,
    require,
    require_installed,
    require_instance,
    require_rebuilt,
)

if TYPE_CHECKING:
    import torch

__all__ = ["check_pass"]


def check_pass(
    pass_: Pass, network: "torch.nn.Module | None" = None, *, directory: Path | None = None
) -> None:
    """Apply a pass several times on a `small_workbench`, and check what conversions rely on.

    It must give a network in the place of the one that came, with the same inputs and outputs; the
    same one in every run, and when it goes on after a kill; and write into its storage alone. What
    it gives must be such that a conversion can keep it.

    Args:
        pass_: the value to check, with few epochs; try one of each way in which its fields make it
            behave.
        network: what to compress, which `small_workbench` can train; it stays as it is. None: a
            residual network with depthwise convolutions and linear layers.
        directory: that of the recipe, with the files that the pass reads, such as pytest's
            `tmp_path`; None: an empty one.

    Raises:
        ConformanceError: a rule is broken, or a library that the pass requires is not installed.
    """
    what = require_instance("pass", pass_)
    # Not hashable, unlike other values: a pass may have tables among its fields.
    again = require_rebuilt(what, pass_)
    _check_repr(what, pass_, again)
    require_installed(what, type(pass_))
    try:
        from edgeprep.testing._compression import check_application
    except ImportError as fault:
        raise ConformanceError(
            f"{what}: must be tried on a network of torch, got {in_one_line(fault)}; "
            "pip install edgeprep[convert]"
        ) from fault
    with TemporaryDirectory() as scratch:
        root = Path(scratch).resolve()
        home = root / "recipe" if directory is None else directory.resolve()
        home.mkdir(exist_ok=True)
        _check_files(what, pass_, home)
        check_application(what, pass_, network, directory=home, scratch=root)


def _check_repr(what: str, pass_: Pass, again: Pass) -> None:
    """Results are kept by the repr: what it hides, and what it adds, finds a wrong one or none."""
    rule = f"{what}: its repr must say all of its fields and nothing else"
    left_out = [field.name for field in fields(pass_) if not field.repr]  # type: ignore[arg-type]  # passes are dataclasses
    require(not left_out, f"{rule}, got none of {', '.join(left_out)}")
    require(repr(pass_) == repr(again), f"{rule}, got another one of an equal pass, {again!r}")


def _check_files(what: str, pass_: Pass, directory: Path) -> None:
    with forbid_errors(f"{what}: files() must name the files that its result depends on"):
        files: Any = pass_.files(directory)
    require(
        isinstance(files, tuple) and all(isinstance(path, Path) for path in files),
        f"{what}: files() must give a tuple of paths, got {files!r}",
    )
    absent = [str(path) for path in files if not path.is_file()]
    require(not absent, f"{what}: files() must name files that exist, got {', '.join(absent)}")
