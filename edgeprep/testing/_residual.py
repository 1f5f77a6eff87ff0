"""The network that passes are tried on. Importing this module imports torch."""

import torch

from edgeprep.testing._network import randomise

__all__ = ["residual_network"]

CHANNELS = 16


class _Block(torch.nn.Module):
    """A depthwise and a pointwise convolution, added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False),
            torch.nn.BatchNorm2d(CHANNELS),
            torch.nn.ReLU(),
            torch.nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
            torch.nn.BatchNorm2d(CHANNELS),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.relu(features + self.layers(features))


class _Network(torch.nn.Module):
    """What passes trip over: sums, depthwise convolutions, batch norms, layers after a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1, bias=False),
            torch.nn.BatchNorm2d(CHANNELS),
            torch.nn.ReLU(),
        )
        self.blocks = torch.nn.Sequential(_Block(), _Block())
        self.hidden = torch.nn.Linear(CHANNELS, 2 * CHANNELS)
        self.head = torch.nn.Linear(2 * CHANNELS, 3)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        features = self.blocks(self.stem(preprocessed)).mean((2, 3))
        scores: torch.Tensor = self.head(torch.relu(self.hidden(features)))
        return scores


def residual_network() -> torch.nn.Module:
    """Always the same one, in eval mode, which has not learned yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _Network().eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                randomise(module)
    return network
