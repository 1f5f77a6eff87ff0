"""The runtime: open a bundle, prove and measure its candidates, run the fastest."""

from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.engines import describe_backends
from edgeprep.runtime.explain import explain, format_table
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.machine import describe_machine
from edgeprep.runtime.opening import open  # noqa: A004 -- `edgeprep.open` is the public name
from edgeprep.runtime.session import Session

__all__ = [
    "Candidate",
    "Outcome",
    "Session",
    "describe_backends",
    "describe_machine",
    "explain",
    "format_table",
    "from_rgb",
    "measure_all",
    "open",
]
