"""Checks of compiled forms: what a runner gives is loaded again, and computes the same."""

from collections.abc import Sequence

from edgeprep.interfaces import Backend, Device, Model, Options, Runner
from edgeprep.runtime.golden import relative_error
from edgeprep.testing.rules import forbid_errors, require
from edgeprep.testing.runner import TOLERANCE, Arrays, check_closed

__all__ = ["check_compiled"]


def check_compiled(
    backend: Backend,
    runner: Runner,
    way: tuple[Model, Device, Options],
    samples: Sequence[Arrays],
    results: Sequence[Arrays],
    where: str,
) -> None:
    """Raise ConformanceError unless what `runner` compiled loads again, and computes the same."""
    with forbid_errors(f"{where}: compiled() and compiled_for() must not raise"):
        facts, compiled = backend.compiled_for(way[1]), runner.compiled()
    require(
        facts is None or (isinstance(facts, str) and bool(facts)),
        f"{where}: compiled_for() must be None or say what a form depends on, got {facts!r}",
    )
    require(
        compiled is None or isinstance(compiled, bytes),
        f"{where}: compiled() must be bytes or None, got {type(compiled).__name__}",
    )
    if not compiled:
        return
    require(facts is not None, f"{where}: compiled_for() must say what a form depends on, got None")
    with forbid_errors(f"{where}: load_compiled() must load what compiled() gave"):
        again = backend.load_compiled(compiled, *way)
    try:
        specs = (again.inputs, again.outputs)
        require(
            specs == (runner.inputs, runner.outputs),
            f"{where}: what load_compiled() gives must have the same inputs and outputs, "
            f"got {specs!r}",
        )
        found = [again.run(sample) for sample in samples]
        worst = max(map(relative_error, found, results), default=0.0)
        require(
            worst <= TOLERANCE,
            f"{where}: what load_compiled() gives must compute the same, got {worst:.2g} from it",
        )
    finally:
        again.close()
    check_closed(again, samples[0], f"{where}, compiled before")
