"""Preprocessing that people have already, as tables of a recipe; none of these libraries is needed.

Each importer gives what stands under `[[preprocess]]`, one table a stage, or says what cannot be
said with stages. What is not understood whole is refused: a chain that is almost right costs
accuracy in the field, and nobody sees why.
"""

from edgeprep.importers.detect import KINDS, from_json
from edgeprep.importers.mean_scale import from_mean_scale, from_openvino
from edgeprep.importers.onnxruntime_extensions import from_onnxruntime_extensions
from edgeprep.importers.timm import from_timm
from edgeprep.importers.toml import to_toml
from edgeprep.importers.torchvision import from_torchvision
from edgeprep.importers.transformers import from_transformers

__all__ = [
    "KINDS",
    "from_json",
    "from_mean_scale",
    "from_onnxruntime_extensions",
    "from_openvino",
    "from_timm",
    "from_torchvision",
    "from_transformers",
    "to_toml",
]
