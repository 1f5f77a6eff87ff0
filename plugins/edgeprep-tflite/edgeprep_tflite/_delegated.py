"""An interpreter whose operators a delegate's library takes over, such as that of an Edge TPU."""

import ctypes
from typing import Any

from edgeprep.errors import BackendError
from edgeprep_tflite._engine import InterpreterRunner, library
from edgeprep_tflite._places import Delegate
from edgeprep_tflite._runner import WHERE

__all__ = ["load_delegated"]


class _DelegatedRunner(InterpreterRunner):
    """One interpreter: such a chip serves one call at a time, and some only one interpreter."""

    def __init__(self, content: bytes, delegate: Delegate) -> None:
        self._delegate = delegate
        super().__init__(content, threads=1, places=1)

    def _make(self) -> Any:
        delegate = self._delegate
        try:
            # NOTE: what lacks one of these fails once more where LiteRT lets go of it.
            opened = ctypes.CDLL(delegate.path)
            for name in ("create", "destroy"):
                getattr(opened, f"tflite_plugin_{name}_delegate")
            loaded = library.load_delegate(delegate.path, dict(delegate.options))
        except (ValueError, OSError, AttributeError) as error:
            raise BackendError(
                f"{WHERE}: device {delegate.name!r} must have a delegate in {delegate.path!r}, "
                f"got {' '.join(str(error).split())!r}"
            ) from error
        interpreter = library.Interpreter(
            model_content=self._content,
            experimental_delegates=[loaded],
            # What the delegate leaves, XNNPACK would take as a delegate of its own: then nothing
            # tells whether this one has anything.
            experimental_op_resolver_type=(
                library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        interpreter.allocate_tensors()
        if not any(each["op_name"] == "DELEGATE" for each in interpreter._get_ops_details()):
            raise BackendError(
                f"{WHERE}: device {delegate.name!r} must run at least one operator of the model, "
                "got 0"
            )
        return interpreter


def load_delegated(content: bytes, delegate: Delegate) -> InterpreterRunner:
    """`content`, with the help of `delegate`.

    Raises:
        BackendError: the file or the delegate cannot be used, or the delegate takes nothing.
    """
    return _DelegatedRunner(content, delegate)
