"""The members that a recipe names, read and held against each other."""

from dataclasses import dataclass
from io import BytesIO

from edgeprep.bundle import Manifest, Variant, read_bundle
from edgeprep.errors import BundleError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.recipe import EnsembleRecipe, MemberTable
from edgeprep.registry import Registry
from edgeprep.runtime.fit import check_fit
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.runtime.opened_ensemble import matching
from edgeprep.schema import nearest, show
from edgeprep.tensors import ImageSpec

__all__ = ["Members", "read_members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Members that fit together.

    Attributes:
        opened: one a member.
        files: the bytes of each one's bundle.
        input: the pictures that all of them take.
    """

    opened: tuple[OpenedBundle, ...]
    files: tuple[bytes, ...]
    input: ImageSpec


def read_members(recipe: EnsembleRecipe, task: Task, registry: Registry) -> Members:
    """The members of `recipe`.

    Raises:
        RecipeError: a member is no bundle of one network, has nothing that is preferred, or they
            do not fit together; the message begins with the member's place.
        StorageError: a bundle cannot be read.
    """
    opened, files = [], []
    for index, table in enumerate(recipe.member):
        where = f"member[{index}]"
        path = recipe.directory / table.bundle
        if not path.is_file():
            rule = "must be a .edgeprep file"
            raise RecipeError(
                f"{where}.bundle: {rule}, got {table.bundle!r}; looked for {str(path)!r}"
            )
        files.append(recipe.read(table.bundle))
        try:
            bundle = read_bundle(BytesIO(files[-1]), str(path))
            only = _preferred(bundle.manifest, table, where)
            opened.append(OpenedBundle(bundle, registry, only=only))
        except BundleError as error:
            raise type(error)(f"{where}.bundle: {error}") from error
    image = check_fit(task, opened, "member[{}].bundle")
    return Members(opened=tuple(opened), files=tuple(files), input=image)


def _preferred(manifest: Manifest, table: MemberTable, where: str) -> tuple[Variant, ...]:
    variants = manifest.variants
    chosen = matching(variants, table.prefer or "")
    if chosen:
        return chosen
    words = [word for one in variants for word in (one.name, one.format, one.precision)]
    known = list(dict.fromkeys(words))
    remedy = nearest(str(table.prefer), known)
    raise RecipeError(
        f"{where}.prefer: must be a variant, format or precision of {manifest.name!r}, "
        f"got {show(table.prefer)}{remedy}; known are {', '.join(map(repr, known))}"
    )
