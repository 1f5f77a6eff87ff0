"""The interpreters of a workstation. Importing this module imports torch, onnx and an engine."""

from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.torch import ChainModule

__all__ = ["INTERPRETERS"]


def _in_torch(chain: Chain, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    with torch.no_grad():
        result: NDArray[Any] = ChainModule(chain)(torch.from_numpy(pictures)).numpy()
    return result


def _in_onnxruntime(chain: Chain, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4  # every failure comes as an exception too
    session = onnxruntime.InferenceSession(
        build_onnx(chain), settings, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"image": pictures})[0])


INTERPRETERS = {"torch": _in_torch, "ONNX Runtime": _in_onnxruntime}
