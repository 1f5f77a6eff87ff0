"""What an execution provider has compiled, as a model of nodes that hold it: "EP contexts".

The CPU's provider has none, nor have most GPUs'.
Source: https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html
"""

import onnxruntime  # type: ignore[import-untyped]

from edgeprep_onnx._machine import Place

__all__ = ["compile_ahead", "facts"]


def facts(place: Place) -> str | None:
    """What a compiled form for `place` depends on; None where there can be none, or none is safe.

    Of a provider of the build, nothing tells the chip and its driver, which may be changed.
    """
    if place.provider == "CPUExecutionProvider" or place.ep_device is None:
        return None
    words = [onnxruntime.__version__, onnxruntime.get_build_info(), place.device.description]
    words += [f"{key}={value}" for key, value in sorted(place.ep_device.ep_metadata.items())]
    metadata = place.ep_device.device.metadata
    words += [f"{key}={value}" for key, value in sorted(metadata.items())]
    return "\n".join(words)


def compile_ahead(
    content: bytes, place: Place, settings: onnxruntime.SessionOptions
) -> bytes | None:
    """`content` with what `place` computes compiled; None where its provider compiles nothing.

    Args:
        content: an ONNX file.
        place: where it will run.
        settings: as for a session; those of a plugin's device name it already.
    """
    try:
        if place.ep_device is None:
            settings.add_provider(place.provider, {})
        compiler = onnxruntime.ModelCompiler(
            settings,
            content,
            embed_compiled_data_into_model=True,
            flags=onnxruntime.OrtCompileApiFlags.ERROR_IF_NO_NODES_COMPILED,
        )
        compiled: bytes = compiler.compile_to_bytes()
    except Exception:  # noqa: BLE001 -- ONNX Runtime's errors have no base of their own
        return None
    return compiled
