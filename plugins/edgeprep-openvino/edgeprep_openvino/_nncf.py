"""nncf and parts of it, kept off stdout. Importing this module takes seconds."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator

from edgeprep.errors import ExportError
from edgeprep_openvino._reason import reason

# nncf's logger keeps the stdout that it finds when it is imported, which is for results.
with contextlib.redirect_stdout(sys.stderr):
    import nncf  # type: ignore[import-untyped]
    from nncf.common.tensor_statistics.statistic_point import (  # type: ignore[import-untyped]
        StatisticPoint,
        StatisticPointsContainer,
    )
    from nncf.common.tensor_statistics.statistics import (  # type: ignore[import-untyped]
        MinMaxTensorStatistic,
    )
    from nncf.quantization.advanced_parameters import (  # type: ignore[import-untyped]
        OverflowFix,
    )
    from nncf.quantization.algorithms import pipeline  # type: ignore[import-untyped]
    from nncf.quantization.range_estimator import (  # type: ignore[import-untyped]
        RangeEstimatorParametersSet,
    )
    from nncf.tensor import Tensor  # type: ignore[import-untyped]

__all__ = [
    "MinMaxTensorStatistic",
    "OverflowFix",
    "RangeEstimatorParametersSet",
    "StatisticPoint",
    "StatisticPointsContainer",
    "Tensor",
    "nncf",
    "pipeline",
    "quiet",
]


@contextlib.contextmanager
def quiet(task: str) -> Iterator[None]:
    """While it lasts, nncf prints nothing to stdout.

    Args:
        task: what nncf must do, for the message where it fails.

    Raises:
        ExportError: nncf raises.
    """
    logger = logging.getLogger("nncf")
    level = logger.level
    # `edgeprep --verbose` has its own logger at DEBUG, and shows all.
    if not logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.ERROR)
    try:
        # Its progress bars go to stdout, whatever they are told.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except Exception as error:
        raise ExportError(
            f"exporter 'openvino': nncf must {task}, got {reason(error)!r}"
        ) from error
    finally:
        logger.setLevel(level)
