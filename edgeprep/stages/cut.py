"""Where a chain is cut: what is before runs on the host, what is after in the graph."""

from typing import TYPE_CHECKING, Literal, get_args

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Placement
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout

if TYPE_CHECKING:  # which imports this module
    from edgeprep.stages.chain import Chain

__all__ = ["PlacementChoice", "cut_position"]

# "auto" is no cut, but the wish to let the device measure all of them.
PlacementChoice = Placement | Literal["auto"]


def cut_position(chain: "Chain", placement: PlacementChoice) -> int:
    """How many stages of `chain` run on the host; see `Chain.cut`.

    Raises:
        RecipeError: there is no such cut.
    """
    if placement == "auto":
        raise RecipeError(
            "placement: 'auto' chooses among cuts and is none itself, got 'auto'; "
            "cut at 'graph', 'host' or 'split'"
        )
    if placement not in get_args(Placement):
        known = ", ".join(map(repr, get_args(Placement)))
        raise RecipeError(f"placement: must be one of {known}, got {placement!r}")
    hosted = [index for index, stage in enumerate(chain.stages) if stage.host_only]
    if placement == "graph":
        if hosted:
            stage = chain.stages[hosted[0]]
            raise RecipeError(
                f"preprocess[{hosted[0]}]: {stage.name} must run on the host, got placement "
                f"'graph'; {stage.host_only}; use placement = 'split' or 'host'"
            )
        chain.need_fixed_size()
        return 0
    first = hosted[-1] + 1 if hosted else 0
    cuts = [index for index in range(first, len(chain.images)) if _is_cut(chain, index)]
    if not cuts and hosted:
        stage = chain.stages[hosted[-1]]
        raise RecipeError(
            f"preprocess[{hosted[-1]}]: {stage.name} runs on the host, which hands pictures of "
            "one size, in 0..255 as screens show them, to the graph, got none after it; "
            "put it before normalize, scale, linear and tile, and resize to one size"
        )
    if not cuts:
        raise RecipeError(
            "preprocess: must bring pictures to one size while values are in 0..255, as "
            "screens show them, got a free size; resize before normalize, scale and linear, "
            "or set input.size"
        )
    if placement == "host":
        return cuts[-1]
    final = (chain.output.height, chain.output.width)
    sizes = [(chain.images[cut].height, chain.images[cut].width) for cut in cuts]
    return cuts[sizes.index(final)] if final in sizes else cuts[-1]


def _is_cut(chain: "Chain", index: int) -> bool:
    image = chain.images[index]
    # A host that changes the form of the numbers alone would do it for nothing.
    changes_form = index > 0 and isinstance(chain.stages[index - 1], DType | Layout)
    # Linear light as uint8 would lose the dark: half a level of it is 6 levels on a screen.
    in_levels = (image.range, image.light, image.layout) == ("0..255", "display", "nhwc")
    # A graph takes one picture, or one clip: whatever makes several of it comes inside.
    single = image.batch == chain.input.batch
    return image.is_fixed and single and in_levels and not changes_form
