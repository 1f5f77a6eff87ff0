"""Checks of an exporter: that what it writes is what the source computes."""

import numpy as np
import torch

from edgeprep.conversion.parity import TOLERANCE
from edgeprep.interfaces import Backend, Exporter, Source
from edgeprep.testing.rules import forbid_errors, relative_difference, require, require_class

__all__ = ["check_exporter"]


def check_exporter(exporter: Exporter, backend: Backend, source: Source) -> None:
    """Export `source` at every precision, run it, and compare it with torch.

    Args:
        exporter: the value to check.
        backend: what runs its format.
        source: such as `small_source(tmp_path)`.

    Raises:
        AssertionError: a rule is broken, or the numbers are not those of `source.deployed`.
    """
    require_class("exporter", type(exporter))
    what = f"exporter {exporter.name!r}"
    require(
        exporter.name in backend.formats,
        f"{what}: {backend.name!r} must run its format, got one for {', '.join(backend.formats)}",
    )
    with torch.no_grad():
        expected = [
            [output.numpy() for output in source.deployed(torch.from_numpy(picture[None]))]
            for picture in source.calibration
        ]
    device = backend.devices()[0]
    for precision in exporter.precisions:
        where = f"{what} in {precision}"
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
        with forbid_errors(f"{where}: {backend.name!r} must run it"):
            runner = backend.load(model, device, backend.options(device, precision)[0])
            results = [runner.run([picture[None]]) for picture in source.calibration]
        require(
            runner.inputs == (source.input,),
            f"{where}: must take {source.input}, got {runner.inputs}",
        )
        shapes = [(spec.name, spec.shape, spec.dtype) for spec in source.outputs]
        found = [(spec.name, spec.shape, spec.dtype) for spec in runner.outputs]
        require(found == shapes, f"{where}: must give {shapes}, got {found}")
        runner.close()
        for index, spec in enumerate(source.outputs):
            wanted = np.concatenate([outputs[index] for outputs in expected])
            given = np.concatenate([outputs[index] for outputs in results])
            difference = relative_difference(given, wanted)
            require(
                difference <= TOLERANCE[precision],
                f"{where}: output {spec.name!r} must agree with torch to "
                f"{TOLERANCE[precision]:g}, got {difference:.2g}",
            )
