"""The engines as one would use them without edgeprep: loaded with the same bytes and settings."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BARE", "default_onnxruntime"]

Call = Callable[[NDArray[Any]], object]


def onnxruntime(files: Mapping[str, bytes], threads: int) -> Call:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(files["model.onnx"], options)
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})


def default_onnxruntime(files: Mapping[str, bytes]) -> Call:
    """What one gets who sets nothing."""
    import onnxruntime as ort

    session = ort.InferenceSession(files["model.onnx"])
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})


def openvino(files: Mapping[str, bytes], threads: int) -> Call:
    import openvino as ov

    core = ov.Core()
    weights = ov.Tensor(np.frombuffer(files["model.bin"], np.uint8))
    model = core.read_model(model=files["model.xml"], weights=weights)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    slot = request.get_input_tensor(0).data

    def call(array: NDArray[Any]) -> object:
        # The quickest way there is: OpenVINO's own ways to take arrays all cost more.
        np.copyto(slot, array)
        return request.infer(share_outputs=True)[0]

    return call


def litert(files: Mapping[str, bytes], threads: int) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=files["model.tflite"], num_threads=threads)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def call(array: NDArray[Any]) -> object:
        interpreter.set_tensor(entry["index"], array)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return call


BARE: Mapping[str, Callable[[Mapping[str, bytes], int], Call]] = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "litert": litert,
}
