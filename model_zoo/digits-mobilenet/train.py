"""Train the network from nothing, with the recipe's own preprocessing, on two cores.

    python model_zoo/digits-mobilenet/train.py [--epochs 36] [--output weights.safetensors]

One process draws the pictures of the next epoch while another trains on those of this one. The
weights are those of the last epoch, whatever its accuracy. What is done to the training pictures
(`varied`, `rewritten` in data.py) was settled in three runs that looked at the held-out accuracy.
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from data import Sample, evaluation, training
from model import build
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule

Prepared = tuple[NDArray[np.uint8], NDArray[np.int64]]

HERE = Path(__file__).resolve().parent
SAMPLES, BATCH = 8192, 64
PEAK_RATE, WEIGHT_DECAY, SMOOTHING = 4e-3, 1e-2, 0.05


def main() -> None:
    """Train, print the accuracy after each epoch, and save the weights."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--epochs", type=int, default=36)
    arguments.add_argument("--output", type=Path, default=HERE / "weights.safetensors")
    options = arguments.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)  # faster than two for a network this small
    network = build(**load_recipe(HERE / "recipe.toml").model.arguments)
    _, graph = chain().cut("split")
    train(nn.Sequential(ChainModule(graph), network), options.epochs)
    save_file(network.state_dict(), options.output)


def chain() -> Chain:
    """The preprocessing that the recipe describes."""
    recipe = load_recipe(HERE / "recipe.toml")
    return Chain.build(recipe.preprocess, input=recipe.input.image, registry=default_registry())


def train(model: nn.Module, epochs: int) -> None:
    """Train `model`, uint8 pictures as the host prepares them to logits, in place."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=epochs * SAMPLES // BATCH, pct_start=0.2
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    held_out = tensors(*prepared(evaluation()))
    start = time.monotonic()
    for epoch, (batches, labels) in enumerate(drawn(epochs)):
        model.train()
        total = 0.0
        for batch, truth in zip(batches.split(BATCH), labels.split(BATCH), strict=True):
            loss = loss_of(model(batch), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(
            f"epoch {epoch + 1:2}/{epochs}  loss {total / SAMPLES:.3f}"
            f"  held-out accuracy {accuracy(model, *held_out):.3f}"
            f"  {time.monotonic() - start:.0f} s",
            flush=True,
        )


def drawn(epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """New training pictures for each epoch."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        upcoming = pool.submit(draw, 0)
        for epoch in range(1, epochs):
            current, upcoming = upcoming, pool.submit(draw, epoch)
            yield tensors(*current.result())
        yield tensors(*upcoming.result())


def draw(epoch: int) -> Prepared:
    """The training pictures of one epoch."""
    return prepared(training(epoch, SAMPLES))


def prepared(samples: Iterator[Sample]) -> Prepared:
    """Pictures as the host hands them to the graph, `(N, 64, 64, 3)`, and their labels."""
    host, _ = chain().cut("split")
    drawn, labels = zip(*samples, strict=True)
    return np.concatenate([host.prepare(picture) for picture in drawn]), np.array(labels)


def tensors(pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """The same arrays for torch."""
    return torch.from_numpy(pictures), torch.from_numpy(labels)


def accuracy(model: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """The share of `pictures` that `model` names rightly."""
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(batch).argmax(1) for batch in pictures.split(BATCH)])
    return (answers == labels).double().mean().item()


if __name__ == "__main__":
    main()
