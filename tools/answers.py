#!/usr/bin/env python3
"""What an engine answers on this machine for the golden samples of bundles, kept in a file.

    tools/answers.py FORMAT FILE BUNDLE...

FILE is an .npz with, of each bundle and each of its variants of FORMAT, the outputs for each sample
and the error by which a session accepts or rejects the variant. tests/device/test_device_answers.py
compares those of two machines. An edgeprep with one engine is enough, as a device has it.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, Variant, open_bundle
from edgeprep.interfaces import Runner
from edgeprep.registry import create, default_registry
from edgeprep.runtime.golden import relative_error
from edgeprep.runtime.opened import OpenedBundle


def main() -> None:
    """Write FILE."""
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    wanted, file, *paths = sys.argv[1:]
    kept: dict[str, NDArray[np.generic]] = {}
    for path in map(Path, paths):
        bundle = open_bundle(path)
        for variant in bundle.manifest.variants:
            if variant.format == wanted:
                found = answers(bundle, variant)
                kept |= {f"{path.stem}/{variant.name}/{key}": value for key, value in found.items()}
    np.savez(file, **kept)


def answers(bundle: Bundle, variant: Variant) -> dict[str, NDArray[np.generic]]:
    """Outputs `0/1`, the second one for the first sample, and so on, and the golden `error`."""
    golden = bundle.golden(variant)
    task = OpenedBundle(bundle, default_registry()).task
    runner = load(bundle, variant)
    try:
        outputs = [
            tuple(output.copy() for output in runner.run(golden.feed(index)))
            for index in range(golden.count)
        ]
    finally:
        runner.close()
    expected = map(golden.expected, range(golden.count))
    errors = [relative_error(*pair, task) for pair in zip(outputs, expected, strict=True)]
    found = {
        f"{index}/{place}": output
        for index, sample in enumerate(outputs)
        for place, output in enumerate(sample)
    }
    return {**found, "error": np.array(max(errors))}


def load(bundle: Bundle, variant: Variant) -> Runner:
    """A variant in this machine's engine, on one thread of the CPU, whatever it computes."""
    backends = default_registry().classes("backend")
    (backend,) = (create(each) for each in backends if variant.format in each.formats)
    device = backend.devices()[0]
    return backend.load(bundle.model(variant), device, {"threads": 1})


if __name__ == "__main__":
    main()
