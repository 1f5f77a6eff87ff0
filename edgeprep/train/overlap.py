"""Pictures that are in two kinds of data, where a score says less than it seems to."""

from collections.abc import Mapping, Sequence
from itertools import combinations

__all__ = ["overlaps"]


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
                f"{count} of the {len(asked)} pictures of {other} are in {one}, too; "
                "a score on them says little of new pictures"
            )
    return tuple(warnings)
