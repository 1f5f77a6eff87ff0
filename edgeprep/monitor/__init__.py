"""What a running session tells: events, counters and times, and whether its pictures have changed.

Only what every session needs is imported here.
"""

from edgeprep.monitor.events import Event, EventKind, Events

__all__ = ["Event", "EventKind", "Events"]
