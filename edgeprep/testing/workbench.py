"""A workbench that is small enough for a test, with a training that is real."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgeprep.interfaces import Workbench

if TYPE_CHECKING:
    import torch

__all__ = ["small_workbench"]


def small_workbench(network: "torch.nn.Module", directory: Path) -> Workbench:
    """What a pass works with: pictures of three colours, which a network is trained to tell apart.

    There are 48 pictures with labels to learn from, as many others to score, and 8 to calibrate.
    How many times as fast a network is counts its parameters, and measures nothing.

    Args:
        network: as it comes to the pass, in eval mode. It takes `(N, 3, 12, 12)`, float32, and
            gives a score for each of three classes, `(N, 3)`.
        directory: an existing one, such as pytest's `tmp_path`; the recipe's, with the storage in
            it.
    """
    from edgeprep.testing._workbench import SmallWorkbench

    return SmallWorkbench(came=network, directory=directory)
