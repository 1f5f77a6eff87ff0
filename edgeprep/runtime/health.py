"""How a session is: what answers, what was chosen, and what has failed lately."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from edgeprep.monitor import EventKind
from edgeprep.runtime.candidates import Candidate

__all__ = ["GoldenCheck", "Health", "LinkHealth", "LinkState", "State", "worst"]

# "ok": what was chosen answers. "degraded": something else does. "failed": nothing can answer now.
State = Literal["ok", "degraded", "failed"]
# "ready": it is loaded. "waiting": it was not needed so far. "restarting": its process died, and
# it is loaded again. "out": it may not answer, for a reason.
LinkState = Literal["ready", "waiting", "restarting", "out"]
_BY_HARM: tuple[State, ...] = ("ok", "degraded", "failed")


class GoldenCheck(Struct, frozen=True, kw_only=True):
    """The last time that what answers was held to golden samples.

    Attributes:
        candidate: which was checked.
        at_s: when, by `time.monotonic`.
        error: relative to the golden outputs.
        allowed: what it may be.
    """

    candidate: Candidate
    at_s: float
    error: float
    allowed: float

    @property
    def right(self) -> bool:
        """Whether the numbers were right."""
        # NOTE: not `not error > allowed`, which lets through what is no number.
        return self.error <= self.allowed


class LinkHealth(Struct, frozen=True, kw_only=True):
    """One candidate of the chain.

    Attributes:
        candidate: which.
        state: whether it could answer.
        reason: why it cannot; "" where it can.
        failures: how many there were in the last ten minutes.
    """

    candidate: Candidate
    state: LinkState
    reason: str = ""
    failures: int = 0


class Health(Struct, frozen=True, kw_only=True):
    """How a session is.

    Attributes:
        state: "ok", what was chosen answers; "degraded", something else does; "failed", nothing
            can answer now.
        chosen: what was chosen when the session was opened.
        answering: what answers now; None where nothing can.
        failures: how many calls failed in the last ten minutes, on any candidate.
        golden: the last re-check of what answers; None: there was none yet.
        links: the candidates of the chain, in the order in which they are asked.
        events: how many there have been of each kind.
        members: of an ensemble, those of its members, by name.
    """

    state: State
    chosen: Candidate
    answering: Candidate | None
    failures: int = 0
    golden: GoldenCheck | None = None
    links: tuple[LinkHealth, ...] = ()
    events: Mapping[EventKind, int]
    members: Mapping[str, "Health"] = {}

    def to_json(self) -> dict[str, Any]:
        """Plain values; candidates as people read them."""
        golden = self.golden
        return {
            "state": self.state,
            "chosen": str(self.chosen),
            "answering": None if self.answering is None else str(self.answering),
            "failures": self.failures,
            "golden": golden
            and {
                "candidate": str(golden.candidate),
                "at_s": golden.at_s,
                "error": golden.error,
                "allowed": golden.allowed,
                "right": golden.right,
            },
            "links": [
                {
                    "candidate": str(link.candidate),
                    "state": link.state,
                    "reason": link.reason,
                    "failures": link.failures,
                }
                for link in self.links
            ],
            "events": dict(self.events),
            "members": {name: member.to_json() for name, member in self.members.items()},
        }


def worst(states: list[State]) -> State:
    """The state of a whole whose parts are in `states`: it needs all of them."""
    return max(states, key=_BY_HARM.index)
