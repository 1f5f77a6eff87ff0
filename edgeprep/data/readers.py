"""The readers by the names that recipes use."""

from collections.abc import Mapping

from edgeprep.data.cifar import Cifar
from edgeprep.data.clips import FrameFolder, Video
from edgeprep.data.coco import Coco
from edgeprep.data.from_factory import FromFactory
from edgeprep.data.image_folder import ImageFolder
from edgeprep.data.lists import List
from edgeprep.data.mask_folder import MaskFolder
from edgeprep.data.mnist import Mnist
from edgeprep.data.noise import Random
from edgeprep.data.paired_folder import PairedFolder
from edgeprep.data.reader import Reader
from edgeprep.data.voc import Voc
from edgeprep.data.yolo import Yolo
from edgeprep.errors import RecipeError
from edgeprep.schema import build, nearest, show

__all__ = ["READERS", "build_reader"]

_KINDS: tuple[type[Reader], ...] = (
    *(ImageFolder, List, Cifar, Mnist, Coco, Voc, Yolo, MaskFolder, PairedFolder),
    *(Video, FrameFolder, Random),
)
READERS: Mapping[str, type[Reader]] = {reader.name: reader for reader in _KINDS}


def build_reader(table: Mapping[str, object], where: str) -> Reader:
    """The reader that a table of `[data]` describes: one with `use`, or with `factory`.

    Args:
        table: such as ``{"use": "image-folder", "path": "train"}``.
        where: its path in the recipe, such as "data.calibration".

    Raises:
        RecipeError: the table breaks a rule; nothing has been read yet.
    """
    if "factory" in table:
        return build(FromFactory, table, where)
    if "use" not in table:
        raise RecipeError(f"{where}: must have the key 'use' or 'factory', got {show(dict(table))}")
    use = table["use"]
    if not isinstance(use, str) or use not in READERS:
        known = f"; known are {', '.join(map(repr, READERS))}"
        remedy = nearest(str(use), READERS) or known
        raise RecipeError(f"{where}.use: must name a kind of data, got {show(use)}{remedy}")
    rest = {key: value for key, value in table.items() if key != "use"}
    return build(READERS[use], rest, where)
