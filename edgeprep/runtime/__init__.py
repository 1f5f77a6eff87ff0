"""The runtime: open a bundle, prove and measure its candidates, run the fastest."""

from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.opening import open  # noqa: A004 -- `edgeprep.open` is the public name
from edgeprep.runtime.session import Session

__all__ = ["Candidate", "Outcome", "Session", "open"]
