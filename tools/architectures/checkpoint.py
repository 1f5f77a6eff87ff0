"""A network as it is published: configuration and weights, with the recipe that a user writes."""

import io
import logging
import shutil
from contextlib import redirect_stderr
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from architectures.networks import Network
from architectures.pictures import draw
from edgeprep.importers.toml import to_toml

__all__ = ["write_checkpoint"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def write_checkpoint(network: Network, folder: Path, *, target: str) -> Path:
    """The recipe of `network` in `folder`, beside its checkpoint.

    Args:
        network: which.
        folder: is made where it is not there.
        target: the format of the recipe's only target, in float and in int8.
    """
    with redirect_stderr(io.StringIO()):  # a bar
        _make(network).save_pretrained(folder)
    shutil.copy(Path(__file__).with_name("pictures.py"), folder / "pictures.py")
    recipe = folder / f"{target}.toml"
    recipe.write_text(_recipe(network, network.key, target), encoding="utf-8")
    return recipe


def _make(network: Network) -> Any:
    """The network with random weights through which signals come, whatever its depth."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    torch.manual_seed(0)
    cls = getattr(transformers, network.factory)
    made = cls(cls.config_class.from_dict(deepcopy(dict(network.config))))
    with torch.no_grad():
        for module in made.modules():
            for name, value in module.named_parameters(recurse=False):
                _scatter(value, is_weight=isinstance(module, _LAYERS) and name == "weight")
        for name, module in made.named_modules():
            if network.quiet and name.endswith(network.quiet):
                module.weight *= 0.1
                module.bias *= 0.1
        _settle(made, network)
    return made.eval()


def _scatter(value: torch.Tensor, *, is_weight: bool) -> None:
    """Replace what initialisation leaves at zero or next to it, which would prove nothing."""
    if is_weight:
        value.normal_(0, value[0].numel() ** -0.5)
    else:
        value.add_(torch.randn_like(value), alpha=0.1)


def _settle(made: nn.Module, network: Network) -> None:
    """Batch norms as after a training: with the statistics of what arrives."""
    made.eval()
    norms = [module for module in made.modules() if isinstance(module, _NORMS)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    if norms:
        made(_batch(network))
    for norm in norms:
        norm.eval()


def _batch(network: Network) -> torch.Tensor:
    height, width = network.size
    pictures = [*draw(height=height, width=width, frames=network.frames, seed=1)]
    batch = torch.stack([torch.from_numpy(picture) for picture in pictures]).float() / 255
    return ((batch - torch.tensor(_MEAN)) / torch.tensor(_STD)).movedim(-1, -3)


def _recipe(network: Network, name: str, target: str) -> str:
    height, width = network.size
    task: dict[str, object] = {"use": network.use, **network.task}
    if network.use in ("classify", "detect", "segment", "video-classify"):
        task["labels"] = [str(index) for index in range(10)]
    drawn = {"height": height, "width": width, "frames": network.frames}
    blocks = [
        to_toml([{"name": name}], ""),
        to_toml(
            [
                {
                    "factory": f"transformers:{network.factory}",
                    "arguments": {"config": "config.json"},
                    "weights": "model.safetensors",
                    "outputs": list(network.outputs),
                }
            ],
            "[model]",
        ),
        to_toml([{"size": [height, width], "frames": network.frames}], "[input]"),
        to_toml([task], "[task]"),
        to_toml([{"use": "normalize", "mean": _MEAN, "std": _STD}], "[[preprocess]]"),
        to_toml([{"calibration": {"factory": "pictures:draw", "arguments": drawn}}], "[data]"),
        to_toml([{"format": target, "precision": ["fp32", "int8"]}], "[[target]]"),
    ]
    return "\n\n".join(blocks) + "\n"
