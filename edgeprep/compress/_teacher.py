"""Teachers: a recipe's network, a bundle on its engine, or what a factory makes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.compress._looking import Looking, check_frames
from edgeprep.compress._views import view_of
from edgeprep.compress.distil import TeacherFactory
from edgeprep.compress.floating import as_taken_by
from edgeprep.errors import CheckpointError, EdgePrepError, RecipeError, UnknownName
from edgeprep.interfaces import Runner, Task, Workbench
from edgeprep.recipe import ModelTable, Recipe, load_recipe
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import list_candidates
from edgeprep.runtime.memory import answer
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tensors import ImageSpec, TensorSpec
from edgeprep.train.network import load_network
from edgeprep.train.outputs import flatten_outputs
from edgeprep.train.unroll import through
from edgeprep.train.views import View

__all__ = ["Teacher", "open_teacher", "teacher_files"]

Outputs = tuple[torch.Tensor, ...]

_BUNDLE = ".edgeprep"


class Teacher(ABC):
    """What answers, and what is known of its answers.

    Attributes:
        description: in words, for messages and reports.
        labels: the names of its classes, in their order; None: unknown.
        task: what its outputs mean; None: what those of the student do.
        view: what it makes of a picture, where it does not take what the student takes.
        network: the module that hints look into; None: it has none.
    """

    description: str
    labels: tuple[str, ...] | None = None
    task: Task | None = None
    view: View | None = None
    network: torch.nn.Module | None = None

    @abstractmethod
    def answer(self, inputs: torch.Tensor) -> Outputs:
        """Its outputs, float32, `(N, …)`, without gradients.

        Args:
            inputs: what the student takes; or what `view` gives, `(N, …)`, where there is one.
        """

    @abstractmethod
    def example(self) -> torch.Tensor:
        """One input for `answer`, of zeros."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all that it holds. Calling it again does nothing."""


class NetworkTeacher(Teacher):
    """A module of torch.

    Args:
        network: in eval mode.
        description: in words.
        taken: the shape of a sample of the student, `(1, …)`.
        chain: its own preprocessing, whose share of the host is in `view`; None: that of the
            student.
        states: what it takes after a picture.
        frames: how many pictures it takes at once; None: as many as the student.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        description: str,
        *,
        taken: tuple[int, ...],
        chain: Chain | None = None,
        states: Sequence[TensorSpec] = (),
        frames: int | None = None,
    ) -> None:
        self.description = description
        self.network = network.eval().requires_grad_(requires_grad=False)
        self._whole = Looking(network, states, frames)
        self._example = torch.zeros(taken)
        self._chain = chain
        self._preprocessing: torch.nn.Module | None = None
        if chain is not None:
            _, graph = chain.cut("split")
            self._preprocessing = ChainModule(graph)
            first = taken[:2] if _is_clip(taken) else (1,)
            shape = (*first, *graph.input.shape()[1:])
            self._example = torch.zeros(shape, dtype=torch.uint8)

    def answer(self, inputs: torch.Tensor) -> Outputs:
        """See `Teacher.answer`."""
        self._whole.to(inputs.device).eval()
        with torch.no_grad():
            if self._preprocessing is not None:
                inputs = through(self._preprocessing.to(inputs.device), inputs)
            outputs = flatten_outputs(self._whole(as_taken_by(self._whole, inputs))).values()
        return tuple(output.float() for output in outputs)

    def example(self) -> torch.Tensor:
        """See `Teacher.example`."""
        return self._example

    def close(self) -> None:
        """See `Teacher.close`."""
        if self._chain is not None:
            self._chain.close()


class BundleTeacher(Teacher):
    """A bundle, on the first candidate that computes the right numbers; of float32 if it has some.

    Args:
        path: of the bundle.
        name: as the recipe calls it.
        registry: where stages, tasks and backends are looked up.
        taken: the pictures that the student takes.
        frames: how many there are in an example; None where the student takes single ones.

    Raises:
        BundleError: it is not a whole, unchanged bundle.
        NoUsableBackend: no candidate can run here.
        RecipeError: it cannot take the student's pictures.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        registry: Registry,
        taken: ImageSpec,
        frames: int | None = None,
    ) -> None:
        opened = OpenedBundle.read(path, registry)
        self.description = f"bundle {name!r}"
        self.labels = getattr(opened.task, "labels", None)
        self.task = opened.task
        exact = any(variant.precision == "fp32" for variant in opened.variants)
        rules = opened.rules("fp32" if exact else None)
        reachable, left_out = list_candidates(opened.variants, registry, rules)
        with opened.prober(left_out) as prober:
            trial = prober.first(reachable)
        host = self._chain = opened.hosts[trial.reachable.variant.placement].chain
        self._runner: Runner = trial.runner
        try:
            self.view = view_of(host, taken)
        except RecipeError as error:
            self.close()
            rule = f"{self.description} must serve as it is"
            raise RecipeError(f"{rule}, got {error}") from error
        variant = trial.reachable.variant
        self._states, self._frames = variant.states, variant.input.shape[0]
        self._shape: tuple[int, ...] = (1, *variant.input.shape[1:])
        if frames is not None:
            self._shape = (1, frames, *variant.input.shape[1:])

    def answer(self, inputs: torch.Tensor) -> Outputs:
        """See `Teacher.answer`."""
        samples = inputs if _is_clip(tuple(inputs.shape)) else inputs.unsqueeze(1)
        rows = [self._answer(sample.copy()) for sample in samples.cpu().numpy()]
        outputs = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        return tuple(torch.from_numpy(output).float().to(inputs.device) for output in outputs)

    def _answer(self, sample: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """What the engine gives for `(frames, H, W, C)`; of several frames, at the last."""
        if not self._states and self._frames == 1:
            sample = sample[-1:]
        elif not self._states:
            check_frames(self._frames, len(sample))
        return answer(self._runner.run, sample, self._states)

    def example(self) -> torch.Tensor:
        """See `Teacher.example`."""
        return torch.zeros(self._shape, dtype=torch.uint8)

    def close(self) -> None:
        """See `Teacher.close`."""
        self._runner.close()
        self._chain.close()


def open_teacher(teacher: str | TeacherFactory, bench: Workbench) -> Teacher:
    """What a recipe calls the teacher.

    Raises:
        RecipeError: there is no such recipe or factory, or it cannot serve.
        CheckpointError: its weights do not fit.
        BundleError: it is not a whole, unchanged bundle.
        NoUsableBackend: no candidate of the bundle can run here.
    """
    if isinstance(teacher, TeacherFactory):
        return _of_factory(teacher, bench)
    path = _find(teacher, bench.directory)
    if path.suffix != _BUNDLE:
        return _of_recipe(path, teacher, bench)
    try:
        shape = _example(bench)
        frames = shape[1] if _is_clip(shape) else None
        return BundleTeacher(path, teacher, bench.registry, bench.input, frames)
    except EdgePrepError as error:
        raise type(error)(f"distil.teacher: {error}") from error


def teacher_files(teacher: str | TeacherFactory, directory: Path) -> tuple[Path, ...]:
    """The files that the teacher's answers depend on, as far as they can be known.

    Raises:
        RecipeError: one of them is not there, or no recipe.
    """
    if isinstance(teacher, TeacherFactory):
        return _weights(teacher.weights, directory, "distil.teacher.weights")
    path = _find(teacher, directory)
    if path.suffix == _BUNDLE:
        return (path,)
    weights = _read(path, teacher).model.weights
    where = f"distil.teacher: recipe {teacher!r}: model.weights"
    return (path, *sorted(path.parent.glob("*.py")), *_weights(weights, path.parent, where))


def _weights(name: str | None, directory: Path, where: str) -> tuple[Path, ...]:
    if name is None:
        return ()
    path = directory / name
    if not path.is_file():
        raise RecipeError(f"{where}: must be a file, got {name!r}; looked for {str(path)!r}")
    return (path,)


def _find(teacher: str, directory: Path) -> Path:
    """The recipe or bundle that `teacher` names."""
    path = directory / teacher
    if path.is_dir():
        path /= "recipe.toml"
    if not path.is_file() or path.suffix not in (".toml", _BUNDLE):
        rule = f"must be a recipe, a directory with a recipe.toml, or a {_BUNDLE} file"
        raise RecipeError(f"distil.teacher: {rule}, got {teacher!r}; looked for {str(path)!r}")
    return path


def _of_factory(teacher: TeacherFactory, bench: Workbench) -> Teacher:
    model = ModelTable(
        factory=teacher.factory, arguments=teacher.arguments, weights=teacher.weights
    )
    try:
        network = load_network(model, bench.directory)
    except (RecipeError, CheckpointError) as error:
        raise type(error)(f"distil.teacher.{str(error).removeprefix('model.')}") from error
    states = bench.source.states
    if teacher.state is not None:
        states = ModelTable(factory=teacher.factory, state=teacher.state).states
    opened = NetworkTeacher(
        network,
        f"factory {teacher.factory!r}",
        taken=_example(bench),
        states=states,
    )
    opened.labels = teacher.labels or getattr(bench.task, "labels", None)
    return opened


def _of_recipe(path: Path, name: str, bench: Workbench) -> Teacher:
    recipe = _read(path, name)
    task = _task_of(recipe, name, bench.registry)
    try:
        chain = Chain.of_recipe(recipe, bench.registry)
        student = Chain(input=bench.input, stages=bench.stages)
        same = _of_one(chain) == _of_one(student)
        view = None if same else view_of(chain.cut("split")[0], bench.input)
    except RecipeError as error:
        rule = f"recipe {name!r} must serve as it is"
        raise RecipeError(f"distil.teacher: {rule}, got {error}") from error
    try:
        network = load_network(recipe.model, recipe.directory)
    except (RecipeError, CheckpointError) as error:
        raise type(error)(f"distil.teacher: recipe {name!r}: {error}") from error
    opened = NetworkTeacher(
        network,
        f"recipe {recipe.name!r}",
        taken=_example(bench),
        chain=None if view is None else chain,
        states=recipe.model.states,
        frames=recipe.input.frames,
    )
    opened.view = view
    opened.labels, opened.task = getattr(task, "labels", None), task
    return opened


def _example(bench: Workbench) -> tuple[int, ...]:
    """The shape of a sample of the student; where it takes clips of any length, as data have it."""
    if not bench.source.states:
        return bench.source.sample_shape
    inputs, _ = next(bench.batches(1))
    return tuple(inputs.shape)


def _is_clip(shape: tuple[int, ...]) -> bool:
    return len(shape) == 5  # samples, frames, and the axes of a picture


def _of_one(chain: Chain) -> Chain:
    """`chain` for one picture at a time, whatever takes several of what it gives."""
    return Chain(input=chain.input.replace(batch=1), stages=chain.stages)


def _read(path: Path, name: str) -> Recipe:
    try:
        return load_recipe(path)
    except RecipeError as error:
        raise RecipeError(f"distil.teacher: recipe {name!r}: {error}") from error


def _task_of(recipe: Recipe, name: str, registry: Registry) -> Task:
    options = dict(recipe.task)
    try:
        task: Task = build(registry.get("task", str(options.pop("use"))), options, "task")
    except (RecipeError, UnknownName) as error:
        raise RecipeError(f"distil.teacher: recipe {name!r}: {error}") from error
    return task
