"""The training side: one loop, the preprocessing of the device, and pictures that vary.

`train_recipe` is `edgeprep train`. `fit` is its loop, for any network and any `Objective`:

    data = open_training(recipe, chain=chain, task=task, registry=default_registry())
    fitted = fit(network, data, recipe.train, storage=Path("kept"))

Who has a loop already needs the rest of this page only. Training sees the numbers that the device
will compute when it runs the very same chain. Its share before the cut is numpy's, for a `Dataset`;
the rest is a torch module, for the `Dataset` or for the model:

    chain = Chain.of_recipe(recipe, default_registry())
    host, graph = chain.cut("split")        # as the recipe's placement says
    augment = Augment(build_augment(recipe.augment, ...), seed=0, input=recipe.input.image)

    class Pictures(torch.utils.data.Dataset):
        def __getitem__(self, index):
            picture = augment(read_picture(self.paths[index]), index)
            return host.prepare(picture)[0], self.labels[index]

    model = torch.nn.Sequential(ChainModule(graph), network)   # takes uint8 (N, H, W, C)

`ChainModule` may as well be called in `__getitem__`. Chains hold no state and can be sent to
workers.

Augmentations come before the preprocessing, where pictures are what a camera gives, and leave
such pictures. They are never exported: `Chain` and `convert` refuse them, and an `AugmentModule`
is the identity in eval mode and refuses to be exported in train mode.
"""

from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.train.augment import Augment
from edgeprep.train.augment_module import AugmentModule
from edgeprep.train.data import TrainingData
from edgeprep.train.fit import Fitted, fit
from edgeprep.train.from_recipe import train_recipe
from edgeprep.train.network import load_network
from edgeprep.train.objective import check_imitation, objective_for
from edgeprep.train.opening import open_training
from edgeprep.train.output import Trained, holds_training
from edgeprep.train.recipe import build_augment, check_pictures
from edgeprep.train.unroll import unrolled

__all__ = [
    "Augment",
    "AugmentModule",
    "ChainModule",
    "Fitted",
    "Trained",
    "TrainingData",
    "build_augment",
    "check_imitation",
    "check_pictures",
    "fit",
    "holds_training",
    "load_network",
    "objective_for",
    "open_training",
    "train_recipe",
    "unrolled",
]
