"""The runtime: open a bundle, prove and measure its candidates, run the fastest.

What an application does not need at every start, such as `benchmark` and `explain`, is imported
from its own module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.health import Health
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.opening import open  # noqa: A004 -- `edgeprep.open` is the public name
from edgeprep.runtime.recheck import Recheck
from edgeprep.runtime.session import Session
from edgeprep.runtime.stream import ResultStream

if TYPE_CHECKING:
    from edgeprep.runtime.ensemble_session import EnsembleSession

__all__ = [
    "Candidate",
    "EnsembleSession",
    "Health",
    "Outcome",
    "Recheck",
    "ResultStream",
    "Session",
    "from_rgb",
    "open",
]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: most applications open one network.
    if name != "EnsembleSession":
        raise AttributeError(f"module 'edgeprep.runtime' has no attribute {name!r}")
    return import_module("edgeprep.runtime.ensemble_session").EnsembleSession
