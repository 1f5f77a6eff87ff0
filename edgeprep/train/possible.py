"""What Lightning Fabric can do on this machine, told to those who have asked for something else."""

from typing import get_args

from lightning_fabric.accelerators import ACCELERATOR_REGISTRY
from lightning_fabric.strategies import STRATEGY_REGISTRY

from edgeprep.recipe import TrainTable
from edgeprep.recipe.train import Arithmetic
from edgeprep.schema.foreign import name_fault

__all__ = ["explain"]

# What "auto" takes where there are several.
_FIRST = ("tpu", "mps", "cuda", "cpu")
# Strategies by the beginning of their names. There is one "mps" device, and nothing to share out.
_FAMILIES = {
    "cpu": ("ddp",),
    "cuda": ("ddp", "dp"),
    "mps": (),
    "tpu": ("xla", "single_xla"),
}
# A factory's module has a private name, which a process that is spawned could not import. Of what
# devices share out among them, no process has all to keep.
_REFUSED = ("_spawn", "fsdp", "deepspeed")
# The same ones under other names, or with a choice of their own.
_LEFT_OUT = ("_notebook", "_find_unused_")


def explain(settings: TrainTable, error: Exception) -> str:
    """The message for what `settings` ask for, which was refused with `error`."""
    accelerators = _accelerators()
    if settings.accelerator not in accelerators:
        return _refusal("accelerator", "on this machine", accelerators, settings.accelerator)
    accelerator = settings.accelerator
    if accelerator in ("auto", "gpu"):
        accelerator = next(name for name in _FIRST if name in accelerators)
    if accelerator == "cpu" and settings.devices < 1:
        return "train.devices: must be at least 1 on 'cpu', where each is a process, got -1"
    count: int = ACCELERATOR_REGISTRY[accelerator]["accelerator"].auto_device_count()
    if accelerator != "cpu" and settings.devices > count:
        rule = f"must be at most the {count} of {accelerator!r} on this machine"
        return f"train.devices: {rule}, got {settings.devices}"
    strategies = _strategies(accelerator)
    if settings.strategy.lower() not in strategies:
        listed = [name for name in strategies if not any(word in name for word in _LEFT_OUT)]
        return _refusal("strategy", f"on {accelerator!r} here", listed, settings.strategy)
    if accelerator == "cpu" and settings.precision == "16-mixed":
        known = [name for name in get_args(Arithmetic) if name != "16-mixed"]
        return _refusal("precision", "on 'cpu'", known, settings.precision)
    words = ("accelerator", "devices", "nodes", "strategy", "precision")
    asked = ", ".join(f"{word} {getattr(settings, word)!r}" for word in words)
    return f"train: Lightning Fabric must be able to use {asked}, got {name_fault(error)}"


def _refusal(key: str, where: str, known: list[str], got: str) -> str:
    listing = ", ".join(map(repr, known))
    return f"train.{key}: must be one of {listing} {where}, got {got!r}"


def _accelerators() -> list[str]:
    """Those of this machine, by the names that Fabric takes."""
    found = [name for name in _FIRST if ACCELERATOR_REGISTRY[name]["accelerator"].is_available()]
    return ["auto", *found, *(["gpu"] if {"mps", "cuda"} & {*found} else [])]


def _strategies(accelerator: str) -> list[str]:
    """Those that Fabric has for `accelerator`, without those that `open_fabric` refuses."""
    families = _FAMILIES[accelerator]
    known = [
        name
        for name in STRATEGY_REGISTRY.available_strategies()
        if not any(word in name for word in _REFUSED)
    ]
    return ["auto", *(name for name in known if any(_is_of(name, one) for one in families))]


def _is_of(name: str, family: str) -> bool:
    return name == family or name.startswith(f"{family}_")
