"""Samples that come from a function of the user's."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from edgeprep.data.factory import load_factory
from edgeprep.data.reader import Reader
from edgeprep.data.samples import Samples
from edgeprep.errors import DataError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.schema import show
from edgeprep.schema.foreign import name_fault

__all__ = ["FromFactory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFactory(Reader):
    """What a function gives: pictures, or pairs of a picture and its label.

    Attributes:
        factory: `module:function`, as `load_factory` reads it. The function is called once for
            every time that the data is read, and must give the same samples each time.
        arguments: what it is called with, by name.
        limit: at most so many samples, the first ones.
        per_epoch: whether training calls it anew for every epoch, by the keyword `epoch`, from 0.
            It then gives other samples, and as many of them.
    """

    name: ClassVar[str] = "factory"

    factory: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    per_epoch: bool = False

    def at_epoch(self, epoch: int) -> "FromFactory":
        """What is read in `epoch`, from 0."""
        if not self.per_epoch:
            return self
        return replace(self, per_epoch=False, arguments={**self.arguments, "epoch": epoch})

    def open(self, *, directory: Path, where: str, task: Task | None = None) -> Samples:
        """The samples of the factory, which is loaded now and called when they are asked for.

        Raises:
            RecipeError: there is no such factory, or it would have to be told the epoch.
        """
        if self.per_epoch:
            remedy = "only data.training changes from epoch to epoch"
            raise RecipeError(f"{where}.per_epoch: must be false here, got true; {remedy}")
        where_factory = f"{where}.factory"
        call = partial(load_factory(self.factory, directory, where_factory), **self.arguments)
        return Samples(
            partial(_read, call, f"{where_factory}: {self.factory!r}"),
            where=where,
            description=f"samples from {self.factory}",
            task=task,
            limit=self.limit,
        )


def _read(call: Callable[[], object], what: str) -> Iterator[object]:
    try:
        samples = call()
        if not isinstance(samples, Iterable):
            rule = "must give pictures or (picture, label) pairs"
            raise DataError(f"{what} {rule}, got {show(samples)}")
        yield from samples
    except DataError:
        raise
    # The factory is the user's code, and may raise anything; a script's exit is no success.
    except (Exception, SystemExit) as error:
        rule = "must give its samples without an error"
        raise DataError(f"{what} {rule}, got {name_fault(error)}") from error
