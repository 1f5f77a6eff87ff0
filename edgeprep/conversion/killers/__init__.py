"""What is known to break int8, found in a network before it is converted."""

from collections.abc import Callable, Iterator

from edgeprep.conversion.killers.activation_tails import find_activation_tails
from edgeprep.conversion.killers.channel_ranges import find_channel_ranges
from edgeprep.conversion.killers.channel_weights import find_channel_weights
from edgeprep.conversion.killers.dead_outputs import find_constant_outputs, find_zero_weights
from edgeprep.conversion.killers.finding import Finding, Killer
from edgeprep.conversion.killers.huge_constants import find_huge_constants
from edgeprep.conversion.killers.joined_outputs import find_joined_outputs
from edgeprep.conversion.killers.loose_norms import find_loose_norms
from edgeprep.conversion.killers.observed import Observed, observe

__all__ = ["KILLERS", "Finding", "Killer", "Observed", "find_killers", "observe"]

KILLERS: tuple[Callable[[Observed], Iterator[Finding]], ...] = (
    find_joined_outputs,
    find_huge_constants,
    find_channel_weights,
    find_channel_ranges,
    find_activation_tails,
    find_loose_norms,
    find_zero_weights,
    find_constant_outputs,
)


def find_killers(network: Observed) -> tuple[Finding, ...]:
    """Everything that any of `KILLERS` finds, in their order."""
    return tuple(finding for find in KILLERS for finding in find(network))
