"""What changes a network, and what it works with."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from edgeprep.errors import RecipeError
from edgeprep.interfaces.conversion import Source
from edgeprep.interfaces.stages import Stage
from edgeprep.interfaces.task import Task
from edgeprep.tensors import ImageSpec

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    import torch
    from numpy import uint8
    from numpy.typing import NDArray

__all__ = ["Need", "Objective", "Pass", "Reading", "Workbench"]

# What a recipe must have for a pass: data of that name, or a task with `Objective.imitation`.
Need = Literal["calibration", "imitation", "training"]
# What a pass may read beside the network, the data and `[train]`: how the recipe quantizes, that is
# `quantization`, `keep_float` and calibration samples of its source; how quick networks are here.
Reading = Literal["quantization", "speed"]


class Objective(ABC):
    """What training makes small.

    A task names its own by `Task.objective`. One that has `loss` can be trained for; with
    `imitation` as well, networks can be distilled for it:

        class Heights(Objective):
            def __init__(self, task, settings):  # of the recipe: its task, and its [train]
                self.task = task

            def loss(self, network, inputs, labels):
                return mse_loss(network(inputs)[:, 0], labels.float())

            def imitation(self, outputs, wanted, temperature):
                return mse_loss(outputs[0], wanted[0])
    """

    @abstractmethod
    def loss(
        self, network: "torch.nn.Module", inputs: "torch.Tensor", labels: "torch.Tensor | None"
    ) -> "torch.Tensor":
        """The loss of one batch, a scalar with a gradient.

        Args:
            network: in train mode; it may be wrapped, so that it is to be called and not looked
                into.
            inputs: `(N, …)`, float32, what the preprocessing gives; of clips `(N, frames, …)`.
            labels: the truths as the network sees them, one after the other: numbers of classes
                `(N,)`, int64; several classes `(N, classes)`, float32; boxes `(N, objects, 5)`,
                float32, where rows of class -1 fill up, and what is in those of class -2 counts for
                nothing; masks `(N, H, W)`, uint8; maps, float32;
                pictures `(N, H, W, C)`, uint8, or float32 with NaN where they are not known. None
                where the training data have none.
        """

    def modules(self) -> "tuple[torch.nn.Module, ...]":
        """Modules of its own that learn with the network, and are not part of it."""
        return ()

    def views(self) -> "tuple[Callable[[NDArray[uint8]], NDArray[Any]], ...]":
        """What it looks at beside `inputs`: functions of the picture that is preprocessed.

        Each takes a picture `(H, W, C)`, uint8, after augmentation, and gives an array whose shape
        is the same for all pictures. They are called where pictures are read, which may be another
        process; of a clip for every frame.
        """
        return ()

    def seeing(self, views: "tuple[torch.Tensor, ...]") -> "Objective":
        """The objective of one batch, with its `views`; called where it has some.

        Each is `(N, …)`, or of clips `(N, frames, …)`.
        """
        return self

    def imitation(
        self,
        outputs: "tuple[torch.Tensor, ...]",
        wanted: "tuple[torch.Tensor, ...]",
        temperature: float,
    ) -> "torch.Tensor":
        """How far outputs are from those of a teacher, a scalar with a gradient.

        The objectives of tasks that networks can be distilled for have it; others have none.

        Args:
            outputs: of the student, in the order in which it returns them, `(N, …)`.
            wanted: of the teacher, with the same shapes.
            temperature: from 1; the higher, the more the less likely classes count.

        Raises:
            RecipeError: the task has none.
        """
        rule = "must be a task that networks can be distilled for"
        raise RecipeError(f"task.use: {rule}, got objective {type(self).__name__!r} without it")


class Workbench(ABC):
    """What a pass works with, beside the network that it is given."""

    @property
    @abstractmethod
    def source(self) -> Source:
        """The network as it came to this pass, with its calibration samples."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What its outputs mean."""

    @property
    @abstractmethod
    def directory(self) -> "Path":
        """That of the recipe, where relative paths start."""

    @property
    @abstractmethod
    def storage(self) -> "Path":
        """An existing directory for this step alone.

        When a conversion was killed and is run again with the same inputs, what the pass had
        written there is there again.
        """

    @property
    @abstractmethod
    def input(self) -> ImageSpec:
        """The pictures that an application hands over."""

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The preprocessing of those pictures, in order."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The task's own loss, as `[train]` sets it."""

    @property
    @abstractmethod
    def registry(self) -> "Any":
        """Where this conversion looks up plugins, an `edgeprep.registry.Registry`."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """Of all that is random, as `[train]` sets it."""

    @abstractmethod
    def step(self, title: str) -> "AbstractContextManager[Callable[[str], None]]":
        """Tell of a part of the work: `with bench.step("measure") as done: …; done("3 ms")`."""

    @abstractmethod
    def batches(
        self, samples: int | None = None
    ) -> "Iterator[tuple[torch.Tensor, torch.Tensor | None]]":
        """Training samples as the network takes them, without augmentation, batch by batch.

        Args:
            samples: at most so many, the first ones; None: all.

        Raises:
            RecipeError: the recipe names no training data.
        """

    @abstractmethod
    def fine_tune(
        self,
        network: "torch.nn.Module",
        *,
        name: str,
        epochs: int,
        objective: Objective | None = None,
        learning_rate: float | None = None,
    ) -> "torch.nn.Module":
        """`network`, trained on the recipe's training data as its `[train]` says.

        Args:
            network: it is changed in its place, and given back in eval mode with the weights of
                the epoch that was best on the validation data, or else of the last one.
            name: tells this training from others of the same pass; part of where it is kept.
            epochs: how often the training data are gone through.
            objective: what is made small; None: the task's own loss.
            learning_rate: the highest one; None: that of `[train]`.

        Raises:
            RecipeError: the recipe names no training data, or they have no labels and `objective`
                is None.
            TrainingError: the loss is NaN or infinite; the message says where.
        """

    @abstractmethod
    def score(self, network: "torch.nn.Module") -> float | None:
        """The recipe's metric on the validation data; None where it names none."""

    @abstractmethod
    def examine(
        self,
        answer: "Callable[[torch.Tensor], tuple[torch.Tensor, ...]]",
        *,
        key: str,
        who: str,
        view: "Callable[[NDArray[uint8]], NDArray[Any]] | None" = None,
    ) -> None:
        """Score answers by the recipe's metric, where it names data to score by, and tell of it.

        The user is warned where always answering the commonest class would score as much.

        Args:
            answer: gives outputs, `(N, …)`, in the order of the network's, for what networks take,
                or for what `view` gives.
            key: that of the recipe's table of the pass which names who answers.
            who: answers, for the warning.
            view: see `Objective.views`; None: what networks take.
        """

    @abstractmethod
    def speedups(self, network: "torch.nn.Module") -> Mapping[str, float]:
        """How many times as fast as the network that came `network` is, by format.

        Both are exported in float, and run in turns in the engine of each format of the recipe.
        """


class Pass(ABC):
    """One compression step, torch → torch. Its fields are the keys of a `[[compress]]` table.

    Attributes:
        name: what recipes call it.
        requires: the importable names of the modules that it needs.
        install: what to tell pip where one of them is missing, such as "edgeprep-acme[convert]".
    """

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""

    @abstractmethod
    def apply(self, network: "torch.nn.Module", bench: Workbench) -> "torch.nn.Module":
        """The compressed network. It raises, with the reason, where it can do nothing.

        The reason begins with its name, or a key of it, such as `prune.ratio: must …`; users read
        the place in their recipe instead, such as `compress[1].ratio: must …`.

        Args:
            network: a copy that may be changed in its place, in eval mode. Where `bench.source` has
                states it takes these after a picture, and returns them after its outputs; what
                gives it whole clips is `edgeprep.train.unrolled`.
            bench: what else there is to work with.
        """

    def needs(self) -> tuple[Need, ...]:
        """What it cannot do without, as it is set; a recipe without it is refused at once."""
        return ()

    def files(self, directory: "Path") -> "tuple[Path, ...]":
        """The files, beside the network and the data, that its result depends on.

        A result that was kept is used again while their content is what it was.

        Args:
            directory: that of the recipe.
        """
        return ()

    def reads(self) -> tuple[Reading, ...]:
        """What it reads of the recipe beside data and `[train]`; all, where it does not say.

        A result that was kept is used again whatever is changed in what is not read.
        """
        return ("quantization", "speed")
