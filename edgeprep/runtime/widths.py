"""Candidates for throughput loaded: several calls at once, several pictures a call."""

from contextlib import ExitStack

from edgeprep.errors import BackendError
from edgeprep.interfaces import Backend, Device, Model, Options, Runner

__all__ = ["load_wide", "width_of"]


def load_wide(backend: Backend, model: Model, device: Device, options: Options) -> Runner:
    """`model` on `device`, as `options` say, "batch" and "calls" among them.

    To the outside it takes one picture a call. What `Backend.widths` lacks is made up for: as many
    runners as "calls" says.

    Raises:
        BackendError: as for `Backend.load`; or the backend takes one picture a call.
    """
    batch, calls = width_of(options, "batch"), width_of(options, "calls")
    one = {name: value for name, value in options.items() if name != "batch"}
    with ExitStack() as undo:
        single = _several(backend, model, device, one, calls)
        if batch == 1:
            return single
        undo.callback(single.close)
        if "batch" not in backend.widths:
            raise BackendError(f"backend {backend.name!r}: takes one picture a call, got {batch}")
        many = _several(backend, model, device, options, calls)
        undo.callback(many.close)
        # Here, as most sessions have one picture a call.
        from edgeprep.runtime.batching import BatchingRunner

        runner = BatchingRunner(single, many, batch=batch, calls=calls)
        undo.pop_all()
        return runner


def width_of(options: Options, name: str) -> int:
    """The value of "batch" or "calls" in `options`; 1 where it is absent.

    Raises:
        BackendError: it is no whole number from 1.
    """
    value = options.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackendError(f"option {name!r}: must be a whole number from 1, got {value!r}")
    return value


def _several(
    backend: Backend, model: Model, device: Device, options: Options, calls: int
) -> Runner:
    if calls == 1 or "calls" in backend.widths:
        return backend.load(model, device, options)
    alone = {name: value for name, value in options.items() if name != "calls"}
    with ExitStack() as undo:
        runners = []
        for _ in range(calls):
            runners.append(backend.load(model, device, alone))
            undo.callback(runners[-1].close)
        undo.pop_all()
    from edgeprep.runtime.pool import Pool  # likewise

    return Pool(runners)
