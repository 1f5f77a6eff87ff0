"""Checks of an exporter: that what it writes is what the source computes."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeprep.interfaces import Backend, Exporter, Model, Precision, Source
from edgeprep.runtime.golden import relative_error
from edgeprep.testing.rules import forbid_errors, require, require_installed, require_value
from edgeprep.testing.source import small_source

__all__ = ["check_exporter"]

# Relative to the largest output. fp32: engines sum in other orders. fp16: 11 bits of mantissa.
# bf16: 8 bits. int8: 256 steps for each tensor; `small_source` is off by 0.03 in three formats, and
# by 0.12 with ranges that cut off peaks. The others: by 0.02 with activations in 16 bits, by 0.01
# with ranges of the moment and with weights alone; by 0.005 in bf16. Another network is off by 1.
TOLERANCE: Mapping[Precision, float] = {
    "fp32": 1e-4,
    "fp16": 2e-2,
    "bf16": 0.05,
    "int8": 0.25,
    "int8-int16": 0.1,
    "int8-dynamic": 0.1,
    "int8-weight-only": 0.05,
}


def check_exporter(
    exporter: Exporter,
    backend: Backend,
    source: Source | None = None,
    *,
    precisions: Collection[Precision] = (),
    tolerance: Mapping[Precision, float] = TOLERANCE,
) -> None:
    """Export twice at every precision, run what came, and compare it with torch.

    Args:
        exporter: the value to check.
        backend: what runs its format.
        source: what to export; None: `small_source`, made anew for each export.
        precisions: the ones to check; all that the exporter has, where none are named.
        tolerance: from torch, relative to the largest value of each output.

    Raises:
        ConformanceError: a rule is broken, the numbers are not those of `source.deployed`, or a
            library that the exporter requires is not installed.
    """
    what = require_value("exporter", exporter)
    require(
        exporter.name in backend.formats,
        f"{what}: {backend.name!r} must run its format, got one for {', '.join(backend.formats)}",
    )
    require_installed(what, type(exporter))
    unknown = sorted({*precisions} - {*exporter.precisions})
    require(not unknown, f"{what}: must offer {', '.join(unknown)}, got {exporter.precisions!r}")
    with _sources(source) as (first, second):
        for precision in precisions or exporter.precisions:
            where = f"{what} in {precision}"
            model = _export(exporter, first, precision, where)
            again = _export(exporter, second, precision, where)
            _check_equal(model, again, where)
            _check_numbers(backend, model, first, precision, tolerance[precision], where)


@contextmanager
def _sources(source: Source | None) -> Iterator[tuple[Source, Source]]:
    if source is not None:
        yield source, source
        return
    with TemporaryDirectory() as scratch:
        yield small_source(Path(scratch)), small_source(Path(scratch))


def _export(exporter: Exporter, source: Source, precision: Precision, where: str) -> Model:
    with forbid_errors(f"{where}: must write the source"):
        model = exporter.export(source, precision)
    require(
        model.format == exporter.name,
        f"{where}: the model's format must be its name, got {model.format!r}",
    )
    require(
        model.files and all(type(content) is bytes for content in model.files.values()),
        f"{where}: must give its files as bytes, got {sorted(model.files)}",
    )
    return model


def _check_equal(model: Model, again: Model, where: str) -> None:
    names = sorted({*model.files, *again.files})
    changed = [name for name in names if model.files.get(name) != again.files.get(name)]
    require(
        not changed,
        f"{where}: must give the same bytes for the same source, got others in {changed}",
    )


def _check_numbers(
    backend: Backend,
    model: Model,
    source: Source,
    precision: Precision,
    tolerance: float,
    where: str,
) -> None:
    from edgeprep.testing._network import reference

    feeds = list(source.graph_feeds())
    device = backend.devices()[0]
    with forbid_errors(f"{where}: {backend.name!r} must run it"):
        runner = backend.load(model, device, backend.options(device, precision)[0])
        results = [runner.run(feed) for feed in feeds]
        runner.close()
    for kind, given, wanted in (
        ("inputs", runner.inputs, source.inputs),
        ("outputs", runner.outputs, source.outputs),
    ):
        require(given == wanted, f"{where}: its {kind} must be {wanted}, got {given}")
    expected = [reference(source, feed) for feed in feeds]
    worst = max(map(relative_error, results, expected))
    require(worst <= tolerance, f"{where}: must agree with torch to {tolerance:g}, got {worst:.2g}")
