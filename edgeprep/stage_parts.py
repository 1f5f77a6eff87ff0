"""What stages are made of, for those who write their own.

    from edgeprep.stage_parts import need_levels, smooth

The built-in stages use the same: what they ask of pictures, in the same words (`need_…`,
`limit_…`), and operations over the primitives `F` that every engine computes alike and quickly.
Like all public names, these keep their meaning until the second number of the version changes; what
is elsewhere in `edgeprep.stages` may change at any time.
"""

from edgeprep.stages.formulas.borders import Border, extend
from edgeprep.stages.formulas.channels import join_channels, split_channels
from edgeprep.stages.formulas.division import exact_quotient
from edgeprep.stages.formulas.filters import Sigma, correlate, gaussian_weights, smooth
from edgeprep.stages.levels import (
    change_luma,
    grey_levels,
    need_levels,
    need_luma,
    whole_levels,
)
from edgeprep.stages.requirements import (
    COLORS,
    Level,
    limit_picture,
    limit_pixels,
    need_channels_last,
    need_color,
    need_means,
    need_pixels,
    need_range,
)

__all__ = [
    "COLORS",
    "Border",
    "Level",
    "Sigma",
    "change_luma",
    "correlate",
    "exact_quotient",
    "extend",
    "gaussian_weights",
    "grey_levels",
    "join_channels",
    "limit_picture",
    "limit_pixels",
    "need_channels_last",
    "need_color",
    "need_levels",
    "need_luma",
    "need_means",
    "need_pixels",
    "need_range",
    "smooth",
    "split_channels",
    "whole_levels",
]
