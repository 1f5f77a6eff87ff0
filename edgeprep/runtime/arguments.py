"""What `edgeprep.open` is given beside a bundle, checked before anything is read."""

from math import inf

from edgeprep.errors import InputError, PluginError
from edgeprep.monitor.events import check_listener
from edgeprep.registry import Registry

__all__ = ["check_arguments"]


def check_arguments(
    *, strict: object, probe: object, seconds: object, registry: object, on_event: object
) -> None:
    """Refuse what `edgeprep.open` cannot use; see there for what each argument means.

    Raises:
        InputError: `strict` or `probe` is not True or False, `seconds` no number from 0, or
            `on_event` not callable.
        PluginError: `registry` is none.
    """
    for name, value in (("strict", strict), ("probe", probe)):
        # Not by its truth: "no" would be taken for True.
        if not isinstance(value, bool):
            raise InputError(f"{name}: must be True or False, got {value!r}")
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not (is_number and 0 <= seconds < inf):  # type: ignore[operator]  # it is a number
        raise InputError(f"seconds: must be a finite number from 0, got {seconds!r}")
    if on_event is not None:
        check_listener("on_event", on_event)
    if registry is not None and not isinstance(registry, Registry):
        raise PluginError(f"registry: must be an edgeprep.registry.Registry, got {registry!r}")
