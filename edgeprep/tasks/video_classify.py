"""One class for each clip."""

from dataclasses import dataclass
from typing import ClassVar

from edgeprep.tasks.classify import Classify

__all__ = ["VideoClassify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoClassify(Classify):
    """Networks that look at several pictures, and answer as those of `classify` do.

    They take a clip at once (`input.frames`), or one picture after the other and remember
    (`model.state`): then what they answer to the last picture of a clip counts.
    """

    name: ClassVar[str] = "video-classify"
    clips: ClassVar[bool] = True
