"""The zoo: trained networks as folders, to look at, copy, train anew and verify.

A folder has `recipe.toml`, `model.py`, `data.py`, `weights.safetensors`, `card.md`, which says what
was measured, and `golden.safetensors`, pictures and what the network answered to them. They come
with a checkout, or in the distribution edgeprep-zoo, as any package may offer some by the
entry-point group `edgeprep.zoo`. Nothing is ever downloaded.

`edgeprep.zoo.verify` and `edgeprep.zoo.train` need torch, and are imported by those who do.
"""

from edgeprep.zoo.card import Card
from edgeprep.zoo.copied import Copied, copy_model
from edgeprep.zoo.models import ZooModel, find_model, zoo_models

__all__ = ["Card", "Copied", "ZooModel", "copy_model", "find_model", "zoo_models"]
