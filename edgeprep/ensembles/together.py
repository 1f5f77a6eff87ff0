"""Whether members answer together: on one picture, before any data is read."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import InputError, NonFiniteOutput, OutputError, RecipeError
from edgeprep.runtime.ensemble_session import EnsembleSession

__all__ = ["check_together"]

# Height and width in pixels, the commonest first; a chain may need them larger or smaller.
_SIZES = ((480, 640), (1080, 1920), (96, 96))


def check_together(session: EnsembleSession) -> None:
    """Refuse members whose results cannot be joined.

    Raises:
        RecipeError: one gives results of another shape; the message begins with `member[1]`.
    """
    for height, width in _SIZES:
        image = session.input.replace(
            height=session.input.height or height, width=session.input.width or width
        )
        frames = np.random.default_rng(0).integers(0, 256, image.shape(), dtype=np.uint8)
        try:
            _ask(session, frames)
        except (InputError, NonFiniteOutput):
            # Nothing that they have in common: data will tell.
            continue
        except OutputError as error:
            raise RecipeError(str(error)) from error
        return


def _ask(session: EnsembleSession, frames: NDArray[np.uint8]) -> None:
    if session.streams_only:
        for _ in session.stream(frames):
            pass
    else:
        session(frames if session.input.batch > 1 else frames[0])
