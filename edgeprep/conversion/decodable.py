"""Whether a task can make anything of what its network gives."""

from collections.abc import Sequence

from edgeprep.conversion.score import Outputs
from edgeprep.data import Prepared
from edgeprep.data.decoded import Decoded
from edgeprep.errors import EdgePrepError, InputError, PluginError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.registry.offers import in_one_line

__all__ = ["check_decodable"]


def check_decodable(task: Task, outputs: Sequence[Outputs], samples: Prepared) -> None:
    """Refuse a task that fails on the first sample, as it would at each call on the device.

    Without labels nothing else is decoded before a bundle is made.

    Args:
        task: accepts the shapes of the outputs.
        outputs: of the source, one tuple a sample.
        samples: what was answered.

    Raises:
        RecipeError: outputs are not such as belong to pictures that the network sees so.
        PluginError: `decode`, or `to_json` of its result, raises what it should not.
    """
    try:
        Decoded(task=task, outputs=outputs, samples=samples)[0].to_json()
    except InputError as fault:
        raise RecipeError(str(fault)) from fault
    except EdgePrepError:
        raise
    except Exception as fault:  # a plugin's task may raise anything
        raise PluginError(
            f"task {task.name!r}: must decode outputs that its check_outputs() accepts, "
            f"got {in_one_line(fault)}"
        ) from fault
