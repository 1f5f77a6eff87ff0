"""The kit on passes: every way of being broken is found."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgeprep.errors import ConvertError
from edgeprep.interfaces import Pass
from edgeprep.testing import ConformanceError, check_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fine(Pass):
    """Learns a little. Each class below breaks one rule of it."""

    name: ClassVar[str] = "broken"

    def apply(self, network: Any, bench: Any) -> Any:
        return self.spoil(bench.fine_tune(network, name="all", epochs=1), bench)

    def spoil(self, network: Any, bench: Any) -> Any:
        return network


def broken(spoil: Callable[[Any, Any], Any]) -> Pass:
    """A pass that makes of a network what `spoil(network, bench)` says."""

    @dataclass(frozen=True)
    class Broken(Fine):
        def spoil(self, network: Any, bench: Any) -> Any:
            return spoil(network, bench)

    return Broken()


def fault(pass_: Any, network: nn.Module | None = None, directory: Path | None = None) -> str:
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_pass(pass_, network, directory=directory)
    return str(caught.value)


def test_the_pass_that_they_are_made_from_is_fine():
    check_pass(Fine())
    check_pass(broken(lambda network, bench: network))


def test_a_class_instead_of_an_instance_is_refused():
    assert fault(Fine) == (
        "pass class 'Fine': must be checked by an instance, got the class; construct it: Fine(…)"
    )


def test_a_field_that_a_recipe_cannot_give_is_found():
    @dataclass(frozen=True)
    class TakesBytes(Fine):
        key: bytes = b""

    assert fault(TakesBytes()) == (
        "pass class 'TakesBytes': every field must be a key of a recipe; "
        "TakesBytes.key: no table can hold its type, got BytesType"
    )


def test_a_pass_that_does_not_equal_itself_read_back_is_found():
    @dataclass(frozen=True)
    class Unequal(Fine):
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    assert fault(Unequal()) == (
        "pass 'broken': must equal what its own fields build, "
        "got test_a_pass_that_does_not_equal_itself_read_back_is_found.<locals>.Unequal()"
    )


REPR = "pass 'broken': its repr must say all of its fields and nothing else, got "


def test_a_field_that_its_repr_hides_is_found():
    @dataclass(frozen=True)
    class Hides(Fine):
        shown: int = 1
        strength: float = field(default=0.5, repr=False)

    assert fault(Hides()) == f"{REPR}none of strength"


def test_a_repr_that_is_never_the_same_is_found():
    @dataclass(frozen=True)
    class Counts(Fine):
        count: ClassVar[list[int]] = []

        def __repr__(self):
            self.count.append(1)
            return f"Counts #{len(self.count)}"

    assert fault(Counts()).startswith(f"{REPR}another one of an equal pass, Counts #")


def test_what_is_not_installed_cannot_be_checked():
    @dataclass(frozen=True)
    class Needs(Fine):
        requires: ClassVar[tuple[str, ...]] = ("torch", "no_such_library")

    assert fault(Needs()) == (
        "pass 'broken': must be checked where all that it requires is installed, "
        "got none of no_such_library"
    )


def test_a_pass_that_cannot_be_tried_does_not_pass(monkeypatch):
    monkeypatch.delitem(sys.modules, "edgeprep.testing._compression", raising=False)
    monkeypatch.delattr("edgeprep.testing._compression", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert fault(Fine()) == (
        "pass 'broken': must be tried on a network of torch, got ModuleNotFoundError: "
        "import of torch halted; None in sys.modules; pip install edgeprep[convert]"
    )


@dataclass(frozen=True, kw_only=True)
class Reads(Fine):
    """Depends on files."""

    paths: tuple[str, ...] = ("table.json",)

    def files(self, directory: Path) -> Any:
        found = tuple(directory / path for path in self.paths)
        return [*found] if self.paths == ("list",) else found if self.paths else 1 / 0


def test_files_that_are_not_there_are_found(tmp_path):
    tmp_path.joinpath("table.json").touch()
    check_pass(Reads(), directory=tmp_path)
    assert fault(Reads(paths=("table.json", "other.json")), directory=tmp_path) == (
        f"pass 'broken': files() must name files that exist, got {tmp_path / 'other.json'}"
    )
    assert fault(Reads(paths=("list",)), directory=tmp_path) == (
        f"pass 'broken': files() must give a tuple of paths, got [{tmp_path / 'list'!r}]"
    )
    assert fault(Reads(paths=())) == (
        "pass 'broken': files() must name the files that its result depends on, "
        "got ZeroDivisionError: division by zero"
    )


TRAINED = "pass 'broken': must be checked with a network that small_workbench can train, got "


def test_a_network_of_another_size_cannot_be_compressed():
    assert fault(Fine(), nn.Linear(5, 3)).startswith(
        f"{TRAINED}edgeprep.errors.RecipeError: model.factory: the network must take float32 "
        "(1, 3, 12, 12), which is what the preprocessing gives, got RuntimeError: "
    )


def test_a_network_for_another_task_cannot_be_compressed():
    network = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    assert fault(Fine(), network) == (
        f"{TRAINED}edgeprep.errors.RecipeError: task.labels: must name each of the network's "
        "4 classes, got 3 labels"
    )


def test_an_error_is_told_with_its_reason():
    def fails(network: Any, bench: Any) -> Any:
        raise KeyError("head")

    def refuses(network: Any, bench: Any) -> Any:
        raise ConvertError("broken: must find something to do, got 0 of 4 layers")

    assert fault(broken(fails)) == (
        "pass 'broken': apply() must compress the network, got KeyError: 'head'"
    )
    assert fault(broken(refuses)) == (
        "pass 'broken': apply() must compress the network, got edgeprep.errors.ConvertError: "
        "broken: must find something to do, got 0 of 4 layers"
    )


def writes_beside_nothing(network, bench):
    Path("log.txt").write_text("done")
    return network


def writes_beside_the_recipe(network, bench):
    (bench.directory / "logs").mkdir()
    (bench.directory / "logs" / "log.txt").write_text("done")
    return network


def writes_beside_the_storage(network, bench):
    (bench.storage.parent / "shared.json").write_text("{}")
    return network


def changes_the_source(network, bench):
    bench.came.head.weight.data.zero_()
    bench.source.network.get_submodule("network.stem.1").running_mean.add_(1)
    return network


def trains_the_source(network, bench):
    bench.source.network.get_submodule("network.head").train()
    return network


def gives_nothing(network, bench):
    return None


class Wrapped(nn.Module):
    """A network that is not quite what it was."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x)


def wraps(cls: type[Wrapped]) -> Callable[[Any, Any], Any]:
    def spoil(network: Any, bench: Any) -> Any:
        return cls(network)

    spoil.__name__ = cls.__name__
    return spoil


class HasNoEval(Wrapped):
    def train(self, mode: bool = True) -> nn.Module:
        raise NotImplementedError("frozen")


class StaysInTraining(Wrapped):
    def train(self, mode: bool = True) -> nn.Module:
        return super().train()


class OnePictureAtATime(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x.reshape(1, 3, 12, 12))


class ManyPicturesAtATime(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x) if len(x) > 1 else self.network(torch.cat([x, x]))


class AnswersTwice(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x), self.network(x)


class AnswersInHalf(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x).half()


class AnswersNothing(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return None


class Drops(Wrapped):
    def forward(self, x: torch.Tensor) -> Any:
        return nn.functional.dropout(self.network(x), training=True)


class HoldsALock(Wrapped):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("cannot copy a lock")


def breaks_weights(network, bench):
    network.head.weight.data[0, 0] = float("nan")
    return network


def hides_a_weight(network, bench):
    network.hidden.factor = torch.tensor(2.0)
    network.hidden.register_forward_hook(lambda module, _, output: output * module.factor)
    return network


class Loud(nn.ReLU):
    """A ReLU by its name too, that prints itself as another one would."""

    def extra_repr(self) -> str:
        return "loud"


Loud.__name__ = "ReLU"


def prints_itself_differently(network, bench):
    network.stem[2] = Loud()
    return network.eval()


def is_not_seeded(network, bench):
    network.head.bias.data += torch.randn(3)
    return network


def goes_on_too_far(network, bench):
    """Halves a weight once more whenever it is run with the same storage."""
    runs = bench.storage / "runs"
    count = len(runs.read_text()) if runs.exists() else 0
    runs.write_text("r" * (count + 1))
    network.head.bias.data *= 0.5**count
    return network


OUTPUTS = "what apply() gives must have the network's outputs, output float32"
TAKES = "what apply() gives must take inputs float32"
KEPT = (
    "what apply() gives must be what save_compressed() keeps and load_compressed() gives again, "
    "as else every conversion does it anew, got"
)
SOURCE = "apply() must leave the network of bench.source as it is, got"
STORAGE = "apply() must write into bench.storage alone, got"
SAME = "apply() must give the same weights"

FAULTS = {
    writes_beside_nothing: f"{STORAGE} 'log.txt'",
    writes_beside_the_recipe: f"{STORAGE} 'logs', 'logs/log.txt'",
    writes_beside_the_storage: f"{STORAGE} 'shared.json'",
    changes_the_source: f"{SOURCE} others in 'stem.1.running_mean', 'head.weight'",
    trains_the_source: f"{SOURCE} train mode in 'Linear'",
    gives_nothing: "apply() must give a torch.nn.Module, got NoneType",
    wraps(HasNoEval): (
        "what apply() gives must have an eval mode, got NotImplementedError: frozen"
    ),
    wraps(StaysInTraining): (
        "what apply() gives must have an eval mode, got train mode in "
        "'BatchNorm2d', 'Conv2d', 'Linear' and 5 more"
    ),
    wraps(OnePictureAtATime): (
        f"{TAKES} (8, 3, 12, 12), as the network does, "
        "got RuntimeError: shape '[1, 3, 12, 12]' is invalid for input of size 3456"
    ),
    wraps(ManyPicturesAtATime): (f"{OUTPUTS} (1, 3), got output float32 (2, 3)"),
    wraps(AnswersTwice): (
        f"{OUTPUTS} (8, 3), got output_0 float32 (8, 3), output_1 float32 (8, 3)"
    ),
    wraps(AnswersInHalf): f"{OUTPUTS} (8, 3), got output float16 (8, 3)",
    wraps(AnswersNothing): (
        f"{TAKES} (8, 3, 12, 12), as the network does, got edgeprep.errors.RecipeError: "
        "model.factory: the network must return a tensor, or a sequence or mapping of tensors, "
        "got 'NoneType'"
    ),
    breaks_weights: "what apply() gives must have finite outputs, got NaN or infinity in 'output'",
    wraps(Drops): (
        "what apply() gives must give the same for the same input in eval mode, got two results"
    ),
    wraps(HoldsALock): (
        "what apply() gives must be what deepcopy() takes, for the pass after it, "
        "got TypeError: cannot copy a lock"
    ),
    wraps(Wrapped): (
        f"{KEPT} edgeprep.errors.CheckpointError: kept.safetensors: modules: must be those of the "
        "network, got missing: stem, stem.0, stem.1, stem.2, blocks and 16 more; unexpected: "
        "network, network.stem, network.stem.0, network.stem.1, network.stem.2 and 17 more"
    ),
    hides_a_weight: f"{KEPT} other outputs",
    prints_itself_differently: f"{KEPT} modules that print themselves differently",
    is_not_seeded: f"{SAME} in every run, got others in 'head.bias'; seed what is random",
    goes_on_too_far: f"{SAME} when it is run again with its storage, got others in 'head.bias'",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_broken_pass_is_found(spoil):
    assert fault(broken(spoil)) == f"pass 'broken': {FAULTS[spoil]}"


@dataclass(frozen=True, kw_only=True)
class Twice(Fine):
    """Learns twice, and keeps which trainings it has done; `wrong` does so before they are."""

    wrong: bool = False

    def apply(self, network: Any, bench: Any) -> Any:
        for part in ("one", "two"):
            mark, kept = bench.storage / f"{part}.mark", bench.storage / f"{part}.kept"
            if mark.exists():
                if kept.exists():
                    network.load_state_dict(load_file(kept))
                continue
            if self.wrong and part == "two":
                mark.touch()
            network = bench.fine_tune(network, name=part, epochs=1)
            save_file(network.state_dict(), kept)
            mark.touch()
        return network


def test_a_pass_that_forgets_in_a_kill_what_it_was_at_is_found():
    check_pass(Twice())
    assert fault(Twice(wrong=True)) == (
        f"pass 'broken': {SAME} when it goes on after a kill, got others in 'stem.0.weight', "
        "'stem.1.weight', 'stem.1.bias' and 31 more"
    )


def test_what_changes_a_file_beside_the_recipe_is_found(tmp_path):
    def rewrites(network: Any, bench: Any) -> Any:
        (bench.directory / "table.json").write_text("[2]")
        return network

    (tmp_path / "table.json").write_text("[1, 2, 3]")
    assert fault(broken(rewrites), directory=tmp_path) == (f"pass 'broken': {STORAGE} 'table.json'")
