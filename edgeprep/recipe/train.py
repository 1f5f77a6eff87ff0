"""How networks learn: what `edgeprep train` and compression steps that fine-tune are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

__all__ = ["TrainTable"]

Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]
Arithmetic = Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainTable:
    """`[train]`: the loop that training, distillation and fine-tuning share.

    Attributes:
        epochs: how often the training data are gone through.
        batch: how many pictures make one step, on all devices together. What is left over at the
            end of an epoch, where pictures come in another order each time, is left out.
        seed: of all that is random.
        weights: a file of weights to start from, relative to the recipe; those of a head that
            `[model]` replaces are left out. Absent: as the factory makes the network.
        optimizer: who changes the weights.
        learning_rate: the highest one.
        momentum: of "sgd".
        nesterov: whether "sgd" looks ahead.
        weight_decay: decoupled from the gradient for "adamw", part of it for the others.
        schedule: how the learning rate goes on after the warm-up: it stays, it is multiplied by
            `step_factor` every `step_epochs`, it falls as half a cosine to 0, or it rises over
            three tenths of the training from a 25th and falls to nearly nothing.
        step_epochs: see `schedule`.
        step_factor: see `schedule`.
        warmup_epochs: so long the learning rate rises evenly from 0; it may be part of an epoch.
        clip_norm: the largest norm of all gradients together; absent: any.
        label_smoothing: the share of a label that is given to all classes alike, in 0..1; where
            each class is there or not, as of a sigmoid, to both alike.
        ema: the weight of the past in an exponential moving average of the weights, such as 0.999,
            which is then what is scored and kept; absent: the weights themselves.
        patience: after so many epochs without a better score on the validation data, training
            ends; absent: never before `epochs`.
        freeze: patterns of module paths that do not learn, such as "features.*"; batch
            normalization in them stays as in use.
        rates: by pattern of module paths, what the learning rate is multiplied by in them; where
            several match, the last one counts.
        save_minutes: how much of a long epoch a kill may cost. The end of an epoch is always kept.
        workers: how many processes read and vary pictures; 0: the one that trains. One draws the
            next epoch where data change with each.
        threads: how many a process computes with; absent: by the size of the network. Another
            number gives other roundings.
        accelerator: as Lightning Fabric calls it, such as "cpu" or "cuda".
        devices: how many of them in each node; -1: all.
        nodes: how many machines, each of which runs the same command.
        strategy: as Lightning Fabric calls it, such as "ddp" for several devices.
        precision: what is computed in; weights are kept in float32 unless it ends in "true".
    """

    epochs: Annotated[int, Meta(ge=1)] = 30
    batch: Annotated[int, Meta(ge=1)] = 64
    seed: Annotated[int, Meta(ge=0)] = 0
    weights: Text | None = None
    optimizer: Optimizer = "adamw"
    learning_rate: Positive = 1e-3
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Meta(ge=0)] = 0.01
    schedule: Schedule = "cosine"
    step_epochs: Annotated[int, Meta(ge=1)] = 10
    step_factor: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Meta(ge=0)] = 0.0
    clip_norm: Positive | None = None
    label_smoothing: Share = 0.0
    ema: Annotated[float, Meta(gt=0, lt=1)] | None = None
    patience: Annotated[int, Meta(ge=1)] | None = None
    freeze: tuple[Text, ...] = ()
    rates: Mapping[str, Positive] = field(default_factory=dict)
    save_minutes: Positive = 5.0
    workers: Annotated[int, Meta(ge=0)] = 0
    threads: Annotated[int, Meta(ge=1)] | None = None
    accelerator: Text = "auto"
    devices: Annotated[int, Meta(ge=-1)] = 1
    nodes: Annotated[int, Meta(ge=1)] = 1
    strategy: Text = "auto"
    precision: Arithmetic = "32-true"

    def __post_init__(self) -> None:
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            got = f"optimizer {self.optimizer!r} with momentum {self.momentum!r}"
            raise ValueError(f"nesterov: needs optimizer 'sgd' and a momentum above 0, got {got}")
        if self.warmup_epochs >= self.epochs:
            rule = f"must be below the {self.epochs} epochs"
            raise ValueError(f"warmup_epochs: {rule}, got {self.warmup_epochs!r}")
        if self.devices == 0:
            raise ValueError("devices: must be at least 1, or -1 for all, got 0")
