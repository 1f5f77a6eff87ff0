"""The runtime: open a bundle, prove and measure its candidates, run the fastest.

What an application does not need at every start, such as `benchmark` and `explain`, is imported
from its own module.
"""

from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.opening import open  # noqa: A004 -- `edgeprep.open` is the public name
from edgeprep.runtime.session import Session
from edgeprep.runtime.stream import ResultStream

__all__ = ["Candidate", "Outcome", "ResultStream", "Session", "from_rgb", "open"]
