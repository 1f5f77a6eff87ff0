"""A stream of a session over a source."""

from collections.abc import Callable
from functools import partial

from edgeprep.errors import InputError
from edgeprep.monitor.watches import Origin
from edgeprep.runtime.following import Following
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.live.capture import Capture
from edgeprep.runtime.live.pipeline import Pipeline
from edgeprep.runtime.live.source_stream import SourceStream
from edgeprep.runtime.live.sources import find_source
from edgeprep.runtime.live.streams import Streams
from edgeprep.runtime.stream import FilmStream, Pace, time_of
from edgeprep.tensors import ImageSpec

__all__ = ["follow"]


def follow(
    source: object,
    following: Following,
    *,
    begin: Callable[[Origin], FilmStream],
    image: ImageSpec,
    streams: Streams,
    pace: Pace,
) -> SourceStream:
    """The answers to what `source` sends; see `Session.stream`.

    Args:
        source: what to follow.
        following: how; it was checked.
        begin: a film of the session that has seen nothing yet, of this origin.
        image: what the session takes.
        streams: the session's counters and events.
        pace: when pictures of the caller were taken.

    Raises:
        InputError: `source` cannot be followed so.
        BackendUnavailable: PyAV is not installed.
    """
    found = find_source(source, following, partial(time_of, pace))
    if pace is not None and found.is_rgb:
        rule = "must be absent for a camera, an address or a film, which have times of their own"
        raise InputError(f"{'clock' if callable(pace) else 'fps'}: {rule}, got {pace!r}")
    # Pictures of the caller are of nobody knows what: two such streams are two cameras.
    origin = Origin(found.name if found.is_rgb else "")
    pipeline = Pipeline(
        Capture(found, following, streams.tell),
        begin=partial(begin, origin),
        convert=partial(from_rgb, image=image) if found.is_rgb else lambda picture: picture,
        name=found.name,
        most=None if found.policy == "newest" else following.queue,
        streams=streams,
    )
    return SourceStream(pipeline, found.name)
