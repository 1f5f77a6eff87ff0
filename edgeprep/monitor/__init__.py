"""What a running session tells: events, counters and times, and whether its pictures have changed.

Only what every session needs is imported here; the rest, such as `edgeprep.monitor.metrics`, from
its own module where it is used.
"""

from edgeprep.monitor.events import Event, EventKind, Events
from edgeprep.monitor.meter import Meter, Step

__all__ = ["Event", "EventKind", "Events", "Meter", "Step"]
