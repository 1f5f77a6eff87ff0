"""The words of `prefer=`: what the variants of a bundle and the backends here answer to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import get_args

from edgeprep.bundle import Variant
from edgeprep.errors import PreferenceError
from edgeprep.interfaces import Backend, DeviceKind
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import construct
from edgeprep.schema import nearest, show

__all__ = ["check_prefer"]


def check_prefer(
    prefer: str,
    variants: Sequence[Variant],
    registry: Registry,
    make: Callable[[type[Backend]], Backend | str] = construct,
) -> None:
    """Refuse a word that no candidate could ever answer to, before any is tried.

    A kind of device is always a word, whether this machine has one or not. Engines are imported,
    for the names of their devices, only where the word is none of the others and could be one.

    Args:
        prefer: the word, in any case.
        variants: the bundle's variants.
        registry: where backends are looked up.
        make: gives the backend of a class, or the reason why there is none.

    Raises:
        PreferenceError: it is no such word; the message names them all.
    """
    formats = {variant.format for variant in variants}
    backends = [cls for cls in registry.classes("backend") if not formats.isdisjoint(cls.formats)]
    words = [
        *(variant.name for variant in variants),
        *(variant.format for variant in variants),
        *(variant.precision for variant in variants),
        *(cls.name for cls in backends),
        *get_args(DeviceKind),
    ]
    if _is_among(prefer, words):
        return
    if isinstance(prefer, str) and prefer:  # else it is the name of no device
        words += _devices(map(make, backends))
    if not _is_among(prefer, words):
        known = list(dict.fromkeys(word.lower() for word in words))
        raise PreferenceError(
            "prefer: must be a variant, format, precision, backend, device or kind of device, "
            f"got {show(prefer)}{nearest(str(prefer), known)}; "
            f"known here are {', '.join(map(repr, known))}"
        )


def _is_among(prefer: object, words: Sequence[str]) -> bool:
    return isinstance(prefer, str) and prefer.lower() in {word.lower() for word in words}


def _devices(backends: Iterable[Backend | str]) -> Iterator[str]:
    """The names of all devices; of backends that do not work here there are none."""
    for backend in backends:
        if not isinstance(backend, str):
            try:
                yield from [device.name for device in backend.devices()]
            except Exception:  # noqa: BLE001, S112 -- the candidates will show it, if any is asked for
                continue
