"""Lightning Fabric: devices, processes and arithmetic, by its own words in `[train]`."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning_fabric.strategies.strategy import _Sharded

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.train.possible import explain

__all__ = [
    "check_forks",
    "children_of",
    "fabric_in_silence",
    "is_forked",
    "open_fabric",
    "repeatable",
    "seeded",
]

# https://docs.nvidia.com/cuda/cublas/#results-reproducibility: read when cuBLAS is first used.
_SPACE = "CUBLAS_WORKSPACE_CONFIG"


def open_fabric(settings: TrainTable) -> Fabric:
    """Fabric as `settings` ask for it, not launched yet.

    Raises:
        RecipeError: Fabric refuses a word, or the combination; or a batch cannot be shared out.
    """
    try:
        with warnings.catch_warnings():
            # It would go on with another precision or strategy than the one asked for.
            warnings.filterwarnings("error", ".* is not supported on CPU", UserWarning)
            fabric = Fabric(
                accelerator=settings.accelerator,
                devices=settings.devices,
                num_nodes=settings.nodes,
                strategy=settings.strategy,
                precision=settings.precision,
            )
        if _start_method(fabric) == "spawn":
            raise ValueError("processes are spawned")
        if isinstance(fabric.strategy, _Sharded):
            raise ValueError("each device has a share of the weights")
    except Exception as error:  # Fabric lets out errors of every kind
        raise RecipeError(explain(settings, error)) from error
    if settings.batch % fabric.world_size:
        rule = f"must be a multiple of the {fabric.world_size} devices that share it"
        raise RecipeError(f"train.batch: {rule}, got {settings.batch}")
    return fabric


def check_forks(fabric: Fabric, settings: TrainTable) -> None:
    """Refuse a strategy that starts this program again, once for each device.

    Raises:
        RecipeError: it is such a one.
    """
    launcher = fabric.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher) and fabric.world_size > 1:
        raise RecipeError(
            f"train.strategy: must be one that forks where training is a part of other work, "
            f"got {settings.strategy!r}, which starts the program again for each device; "
            "use 'ddp_fork'"
        )


def is_forked(fabric: Fabric) -> bool:
    """Whether `fabric` trains in forks of this process.

    In a fork of a process that has used several threads, OpenMP waits forever for more than one.
    """
    return _start_method(fabric) == "fork"


def _start_method(fabric: Fabric) -> str | None:
    """How it starts processes that begin in the middle of this program; None where it does not."""
    launcher = fabric.strategy.launcher
    return launcher._start_method if isinstance(launcher, _MultiProcessingLauncher) else None


@contextmanager
def seeded(device: torch.device) -> Iterator[None]:
    """Inside, torch may be seeded at will; afterwards its generators are as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), repeatable(device):
        yield


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Inside, a GPU computes the same again, or torch warns of what on it does not."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warning = torch.is_deterministic_algorithms_warn_only_enabled()
    space = os.environ.get(_SPACE)
    # The fastest kernel of the moment may be another one after a resume.
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    os.environ.setdefault(_SPACE, ":4096:8")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.use_deterministic_algorithms(strict, warn_only=warning)
        if space is None:
            os.environ.pop(_SPACE, None)


@contextmanager
def children_of(fabric: Fabric) -> Iterator[None]:
    """Inside, an exception ends the programs that `fabric` has started for other devices.

    They would wait for this one for half an hour.
    """
    try:
        yield
    except BaseException:
        launcher = fabric.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            for child in launcher.procs:
                child.kill()
        raise


@contextmanager
def fabric_in_silence() -> Iterator[None]:
    """Inside, Fabric does not tell which processes it starts.

    Nothing is held back where the logger "edgeprep" is at DEBUG, as `--verbose` has it.
    """
    logger = logging.getLogger("lightning_fabric")
    before = logger.level
    if not logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
