"""Pictures that vary, as a part of a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.random import SeedSequence
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ExportError, RecipeError, ShapeError
from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import TorchPrimitives
from edgeprep.stages.random.draw import PICTURES, draw, leaving, of_array, whole_number
from edgeprep.tensors import ImageSpec

__all__ = ["AugmentModule"]


class AugmentModule(torch.nn.Module):
    """Send every picture of a batch through a draw of its own in train mode; do nothing in eval.

    It stands before the preprocessing, such as a `ChainModule`, on any device, and adds nothing to
    a checkpoint. Gradients reach pictures that come as float32. Draws depend on `seed`, on the
    epoch and on how many batches came before in it; give every process of a group another seed.
    `torch.compile` leaves it as it is.

    Args:
        stages: those that vary pictures, and others between them.
        seed: a whole number from 0; another one gives other draws.
        input: the type of the pictures that arrive.

    Raises:
        RecipeError: a stage cannot work on what arrives at it or in torch, or leaves what is no
            picture of the kind that came; or `seed` is below 0.
    """

    def __init__(self, stages: Sequence[Stage], *, seed: int, input: ImageSpec = PICTURES) -> None:
        super().__init__()
        self.stages = tuple(stages)
        self.seed = whole_number("seed", seed)
        self.input = input
        leaving(self.stages, input)
        for index, stage in enumerate(self.stages):
            if stage.host_only:
                rule = f"{stage.name} must run on the host"
                remedy = "vary pictures in the data set, by Augment"
                raise RecipeError(
                    f"augment[{index}]: {rule}, got it in a module; {stage.host_only}; {remedy}"
                )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from here on: what follows depends on `epoch`, not on what came before.

        Raises:
            RecipeError: `epoch` is no whole number from 0.
        """
        self._epoch, self._batch = whole_number("epoch", epoch), 0

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The pictures, varied in train mode; as they are in eval mode.

        Args:
            pictures: `(N, H, W, C)`, uint8, or float32 with values in 0..255.

        Returns:
            `(N, height, width, C)` of the same dtype; uint8 is rounded, halves up.

        Raises:
            DTypeError: `pictures` are neither uint8 nor float32.
            ShapeError: they have another shape, or are too small or large for a stage.
            ExportError: the module is exported or traced in train mode.
        """
        if not self.training:
            return pictures
        if torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            raise ExportError(
                "augment: must not be exported, got a module in train mode, in which it varies "
                "pictures; call model.eval() first"
            )
        if not torch.compiler.is_compiling():
            return self._vary(pictures)
        # NOTE: not as a decorator, which loads torch's compiler wherever this module is imported.
        varied: torch.Tensor = torch.compiler.disable(self._vary)(pictures)  # type: ignore[no-untyped-call]
        return varied

    def _vary(self, pictures: torch.Tensor) -> torch.Tensor:
        image = self._check(pictures)
        key = (self._epoch, self._batch)
        self._batch += 1
        generator = np.random.default_rng(SeedSequence(self.seed, spawn_key=key))
        # Pictures with the same draw, as after a flip alone, go through it together.
        groups: dict[Chain, list[int]] = {}
        for index in range(len(pictures)):
            groups.setdefault(draw(self.stages, generator, image), []).append(index)
        F = TorchPrimitives(_constants_on(pictures.device))
        # Half precision is for networks: it would be a level off here.
        with torch.autocast(pictures.device.type, enabled=False):
            parts = [chain.apply(F, pictures[chosen]) for chain, chosen in groups.items()]
        order = np.argsort(np.concatenate(list(groups.values())))
        varied = torch.cat(parts)[torch.from_numpy(order).to(pictures.device)]
        if pictures.dtype == torch.uint8 and varied.dtype != torch.uint8:
            varied = (varied + 0.5).clamp(0, 255).to(torch.uint8)
        return varied

    def _check(self, pictures: torch.Tensor) -> ImageSpec:
        """The type of `pictures`, found to be one that may come."""
        dtype = {torch.uint8: "uint8", torch.float32: "float32"}.get(pictures.dtype)
        if dtype is None:
            raise DTypeError(f"pictures: must be uint8 or float32, got {pictures.dtype!r}")
        wanted = (None, self.input.rows, self.input.width, self.input.channels)
        shape = tuple(pictures.shape)
        if len(shape) != 4 or 0 in shape or any(w not in (None, g) for w, g in zip(wanted, shape)):  # noqa: B905
            names = (n if w is None else w for n, w in zip("NHWC", wanted, strict=True))
            rule = f"must have shape ({', '.join(map(str, names))})"
            raise ShapeError(f"pictures: {rule}, got {shape!r}")
        return of_array(self.input, *shape[1:3]).replace(dtype=dtype)


def _constants_on(device: torch.device) -> Any:
    def constant(array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    return constant
