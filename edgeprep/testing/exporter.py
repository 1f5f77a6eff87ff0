"""Checks of an exporter: that what it writes is what the source computes."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgeprep.interfaces import Backend, Exporter, Model, Precision, Source
from edgeprep.registry import missing_requirements
from edgeprep.testing.rules import forbid_errors, relative_difference, require, require_value
from edgeprep.testing.source import small_source

__all__ = ["check_exporter"]

# Relative to the largest output. fp32: engines sum in other orders. fp16: 11 bits of mantissa.
# int8: 256 steps from the least to the greatest value of each tensor, in a network of few layers.
TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.1}


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
        tolerance: from torch, relative to the largest value of an output, or to 1 below that.

    Raises:
        ConformanceError: a rule is broken, the numbers are not those of `source.deployed`, or a
            library that the exporter requires is not installed.
    """
    what = require_value("exporter", exporter)
    require(
        exporter.name in backend.formats,
        f"{what}: {backend.name!r} must run its format, got one for {', '.join(backend.formats)}",
    )
    missing = missing_requirements(type(exporter))
    require(
        not missing,
        f"{what}: must be checked where all that it requires is installed, got none of "
        f"{', '.join(missing)}",
    )
    for precision in precisions or exporter.precisions:
        where = f"{what} in {precision}"
        require(
            precision in exporter.precisions,
            f"{what}: must offer {precision!r}, got {', '.join(exporter.precisions)}",
        )
        with _sources(source) as (first, second):
            model = _export(exporter, first, precision, where)
            again = _export(exporter, second, precision, where)
            changed = sorted(name for name in model.files if model.files[name] != again.files[name])
            require(
                not changed,
                f"{where}: must give the same bytes for the same source, "
                f"got others in {', '.join(changed)}",
            )
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


def _check_numbers(
    backend: Backend,
    model: Model,
    source: Source,
    precision: Precision,
    tolerance: float,
    where: str,
) -> None:
    from edgeprep.testing._network import reference

    pictures = [picture[None] for picture in source.calibration]
    device = backend.devices()[0]
    with forbid_errors(f"{where}: {backend.name!r} must run it"):
        runner = backend.load(model, device, backend.options(device, precision)[0])
        results = [runner.run([picture]) for picture in pictures]
        runner.close()
    require(
        runner.inputs == (source.input,),
        f"{where}: must take {source.input}, got {runner.inputs}",
    )
    shapes = [(spec.name, spec.shape, spec.dtype) for spec in source.outputs]
    found = [(spec.name, spec.shape, spec.dtype) for spec in runner.outputs]
    require(found == shapes, f"{where}: must give {shapes}, got {found}")
    expected = [reference(source, picture) for picture in pictures]
    for index, spec in enumerate(source.outputs):
        wanted = np.concatenate([outputs[index] for outputs in expected])
        given = np.concatenate([outputs[index] for outputs in results])
        difference = relative_difference(given, wanted)
        require(
            difference <= tolerance,
            f"{where}: output {spec.name!r} must agree with torch to {tolerance:g}, "
            f"got {difference:.2g}",
        )
