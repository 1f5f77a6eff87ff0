"""What `check_pass` applies, and compares. Importing this module imports torch."""

from collections.abc import Mapping
from contextlib import chdir, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgeprep.compress.shapes import load_compressed, save_compressed
from edgeprep.interfaces import Pass
from edgeprep.schema import name_first
from edgeprep.testing._residual import residual_network
from edgeprep.testing._workbench import SmallWorkbench, one_thread
from edgeprep.testing.rules import forbid_errors, require
from edgeprep.train.outputs import flatten_outputs

__all__ = ["check_application"]

_KILLS = 8  # at most so many trainings of a pass are ended
_NAMED = 3  # so many names are listed in a message; the rest are counted

Outputs = Mapping[str, torch.Tensor]


@one_thread()
def check_application(
    what: str, pass_: Pass, network: torch.nn.Module | None, *, directory: Path, scratch: Path
) -> None:
    """See `check_pass`; `directory` is the recipe's, `scratch` for all else that is written."""
    came = residual_network() if network is None else deepcopy(network)
    came = came.eval().requires_grad_(requires_grad=False)
    with forbid_errors(f"{what}: must be checked with a network that small_workbench can train"):
        bench = SmallWorkbench(came=came, directory=directory, kept=scratch / "none")
        bench.task.check_outputs(bench.source.outputs)
    inputs = torch.from_numpy(bench.source.calibration_preprocessed)
    trial = _Trial(what=what, pass_=pass_, came=came, directory=directory, scratch=scratch)
    result = trial.run("first", seed=1)
    _check_network(f"{what}: what apply() gives", result, came, inputs)
    _check_kept(f"{what}: what apply() gives", result, came, inputs, scratch)
    rule = f"{what}: apply() must give the same weights"
    for when, storage, remedy in (
        ("in every run", "second", "; seed what is random"),
        ("when it is run again with its storage", "first", ""),
    ):
        _check_same(f"{rule} {when}", result, trial.run(storage, seed=2), remedy)
    _check_same(f"{rule} when it goes on after a kill", result, _run_after_kills(trial))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    what: str
    pass_: Pass
    came: torch.nn.Module
    directory: Path
    scratch: Path

    def run(
        self, storage: str, *, seed: int, bench: type[SmallWorkbench] = SmallWorkbench
    ) -> torch.nn.Module:
        """What the pass gives, in eval mode; `seed` is of what it does not seed itself."""
        kept = self.scratch / storage
        opened = bench(came=deepcopy(self.came), directory=self.directory, kept=kept)
        before = self._files(but=kept)
        with (
            chdir(self.directory),  # so that what it writes beside nothing is seen
            torch.random.fork_rng(devices=[]),
            forbid_errors(f"{self.what}: apply() must compress the network"),
        ):
            torch.manual_seed(seed)
            result: Any = self.pass_.apply(deepcopy(self.came), opened)
        after = self._files(but=kept)
        self._check_untouched(opened.came)
        written = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        require(
            not written,
            f"{self.what}: apply() must write into bench.storage alone, got {_listed(written)}",
        )
        require(
            isinstance(result, torch.nn.Module),
            f"{self.what}: apply() must give a torch.nn.Module, got {type(result).__name__}",
        )
        return self._in_eval_mode(result)

    def _files(self, *, but: Path) -> dict[str, tuple[int, int]]:
        """All that lies in the recipe's directory and beside the storage, with what changes."""
        found: dict[str, tuple[int, int]] = {}
        for place in (self.scratch, self.directory):
            for path in sorted(place.rglob("*")):
                # Python keeps in the latter what it compiled of modules.
                if but not in (path, *path.parents) and "__pycache__" not in path.parts:
                    status, home = path.lstat(), self.directory in path.parents
                    name = str(path.relative_to(self.directory if home else self.scratch))
                    is_file = not path.is_dir()
                    found[name] = (status.st_size, status.st_mtime_ns) if is_file else (0, 0)
        return found

    def _check_untouched(self, source: torch.nn.Module) -> None:
        rule = f"{self.what}: apply() must leave the network of bench.source as it is"
        changed = _differences(self.came, source)
        require(not changed, f"{rule}, got others in {_listed(changed)}")
        _check_mode(rule, source)

    def _in_eval_mode(self, result: torch.nn.Module) -> torch.nn.Module:
        rule = f"{self.what}: what apply() gives must have an eval mode"
        with forbid_errors(rule):
            result = result.eval().requires_grad_(requires_grad=False)
        _check_mode(rule, result)
        return result


def _check_mode(rule: str, network: torch.nn.Module) -> None:
    training = {type(module).__name__ for module in network.modules() if module.training}
    require(not training, f"{rule}, got train mode in {_listed(sorted(training))}")


class _Killed(BaseException):
    """Not an Exception, so that a pass that goes on after errors ends here."""


class _Kills(SmallWorkbench):
    """Ends every run as soon as something was learned that was not yet in the storage."""

    def fine_tune(self, network: torch.nn.Module, **options: Any) -> torch.nn.Module:
        network = super().fine_tune(network, **options)
        if self.trained:
            raise _Killed
        return network


def _run_after_kills(trial: _Trial) -> torch.nn.Module:
    for seed in range(3, 3 + _KILLS):
        with suppress(_Killed):
            return trial.run("killed", seed=seed, bench=_Kills)
    return trial.run("killed", seed=3 + _KILLS)


def _check_network(
    where: str, result: torch.nn.Module, came: torch.nn.Module, inputs: torch.Tensor
) -> None:
    for taken in (inputs, inputs[:1]):  # one picture, as devices have it, and as many as there are
        wanted = _run(came, taken)
        with forbid_errors(f"{where} must take {_named('inputs', taken)}, as the network does"):
            given, again = _run(result, taken), _run(result, taken)
        require(
            _described(given) == _described(wanted),
            f"{where} must have the network's outputs, {_described(wanted)}, "
            f"got {_described(given)}",
        )
        odd = [name for name, value in given.items() if not value.isfinite().all()]
        require(not odd, f"{where} must have finite outputs, got NaN or infinity in {_listed(odd)}")
        require(
            _equal(given, again),
            f"{where} must give the same for the same input in eval mode, got two results",
        )
    with forbid_errors(f"{where} must be what deepcopy() takes, for the pass after it"):
        deepcopy(result)


def _check_kept(
    where: str,
    result: torch.nn.Module,
    came: torch.nn.Module,
    inputs: torch.Tensor,
    scratch: Path,
) -> None:
    path = scratch / "kept.safetensors"
    rule = (
        f"{where} must be what save_compressed() keeps and load_compressed() gives again, "
        "as else every conversion does it anew"
    )
    with forbid_errors(rule):
        save_compressed(result, path)
        again = load_compressed(deepcopy(came), path).eval()
        outputs = _run(again, inputs)
    path.unlink()
    require(_equal(outputs, _run(result, inputs)), f"{rule}, got other outputs")
    # Conversions compare what they read back by it.
    require(repr(again) == repr(result), f"{rule}, got modules that print themselves differently")


def _check_same(rule: str, one: torch.nn.Module, other: torch.nn.Module, remedy: str = "") -> None:
    changed = _differences(one, other)
    require(not changed, f"{rule}, got others in {_listed(changed)}{remedy}")


def _run(network: torch.nn.Module, inputs: torch.Tensor) -> Outputs:
    with torch.inference_mode():
        return flatten_outputs(network(inputs.clone()))


def _differences(one: torch.nn.Module, other: torch.nn.Module) -> list[str]:
    """The names in the state dicts of what is not in both alike."""
    states = one.state_dict(), other.state_dict()
    names = {**states[0], **states[1]}
    return [name for name in names if not _alike(*(state.get(name) for state in states))]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return bool(one == other)


def _equal(ones: Outputs, others: Outputs) -> bool:
    return ones.keys() == others.keys() and all(map(torch.equal, ones.values(), others.values()))


def _described(outputs: Outputs) -> str:
    return ", ".join(_named(name, value) for name, value in outputs.items())


def _named(name: str, value: torch.Tensor) -> str:
    return f"{name} {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _listed(names: list[str]) -> str:
    return name_first(_NAMED, names)
