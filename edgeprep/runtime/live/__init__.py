"""Sources followed by threads: capture, preprocessing and network work at the same time.

It is imported when the first source is followed.
"""

from edgeprep.runtime.live.answer import Answer, StreamCounts
from edgeprep.runtime.live.source_stream import SourceStream

__all__ = ["Answer", "SourceStream", "StreamCounts"]
