"""Pictures that are in two kinds of data, where a score says less than it seems to."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations

from edgeprep.data import build_reader
from edgeprep.data.digest import digest_of
from edgeprep.recipe import Recipe

__all__ = ["Tested", "overlaps"]


class Tested:
    """The evaluation data, as far as a training may know them: which pictures they are.

    All trainings of one conversion share it, and one of them warns of what they share.

    Args:
        recipe: whose evaluation data they are.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._told = set[str]()

    @cached_property
    def digests(self) -> tuple[bytes, ...] | None:
        """Of each picture; None where the recipe names no evaluation data.

        Raises:
            DataError: they break a rule.
        """
        table, where = self._recipe.data.evaluation, "data.evaluation"
        if table is None:
            return None
        samples = build_reader(table, where).open(directory=self._recipe.directory, where=where)
        return tuple(digest_of(picture) for picture, _ in samples)

    def untold(self, warnings: Sequence[str]) -> tuple[str, ...]:
        """Those of `warnings` that this was not asked for before."""
        new = tuple(warning for warning in warnings if warning not in self._told)
        self._told.update(new)
        return new


def overlaps(digests: Mapping[str, Sequence[bytes]]) -> tuple[str, ...]:
    """A warning for each two kinds of data that share pictures, with the count.

    Args:
        digests: of the pictures of each, by its path in the recipe: first what is learned from.
    """
    warnings = []
    for (one, known), (other, asked) in combinations(digests.items(), 2):
        seen = set(known)
        count = sum(digest in seen for digest in asked)
        if count:
            warnings.append(
                f"{count} of the {len(asked)} pictures of {other} are in {one}, too, identical to "
                "the pixel; a score on them says little of new pictures"
            )
    return tuple(warnings)
