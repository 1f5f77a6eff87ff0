"""What engines have compiled, kept in the user's cache directory, and used only as it was written.

A compiled form is a model that nobody has signed: engines load damaged ones, and compute with them.
Hence a digest of each, files that are this user's alone, and golden samples after every load.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256

from edgeprep.interfaces import Runner
from edgeprep.monitor import Event
from edgeprep.runtime.candidates import Reachable
from edgeprep.runtime.choices import cache_directory, is_over
from edgeprep.runtime.machine import fingerprint
from edgeprep.runtime.private_files import (
    prepare_folder,
    read_private,
    sweep,
    why,
    write_private,
)
from edgeprep.version import __version__

__all__ = ["CompiledForms", "is_wanted"]

_VARIABLE = "EDGEPREP_COMPILE_CACHE"
_FOLDER = "compiled"
_SUFFIX = ".form"
# Forms of models that were replaced are never asked for again: the longest unused go first.
_MOST_BYTES = 1 << 30


def is_wanted() -> bool:
    """Whether forms may be kept: EDGEPREP_COMPILE_CACHE=0 says that they may not.

    They hold the network's weights: whoever writes "no" or "off" does not want them kept, either.
    """
    return os.environ.get(_VARIABLE, "") in ("", "1")


class CompiledForms:
    """The compiled forms of one bundle's models.

    What cannot be used or kept is told, and never an error: the model is compiled again.

    Args:
        digest: the bundle's.
        tell: called with an event.
        directory: where files lie; None: `compiled` in the cache directory.
        plugin_of: gives the package that a backend, by name, is of: another one compiles otherwise.
    """

    def __init__(
        self,
        digest: str,
        tell: Callable[[Event], object],
        directory: str | None = None,
        *,
        plugin_of: Callable[[str], str] = str,
    ) -> None:
        self._digest = digest
        self._tell = tell
        self._plugin_of = plugin_of
        self._directory = directory
        self._is_swept = False
        self._said: set[str] = set()

    def find(self, reachable: Reachable) -> bytes | None:
        """What was compiled of `reachable` before; None where there is nothing to be used."""
        place = self._place(reachable)
        if place is None:
            return None
        path, key = place
        try:
            body = read_private(path, key)
            if not body and is_over(os.stat(path).st_mtime):
                os.unlink(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._say(reachable, f"{path}: {why(error)}, the model is compiled again")
            with suppress(OSError):
                os.unlink(path)
            return None
        if not body:
            return None
        with suppress(OSError):
            os.utime(path)  # it was used, and is not the first to go
        return body

    def keep(self, reachable: Reachable, runner: Runner) -> None:
        """Keep what the engine compiled for `runner`, which has reproduced the golden samples.

        Unless something is kept already, be it that its compiled form is of no use.
        """
        place = self._place(reachable)
        if place is None or os.path.lexists(place[0]):
            return
        try:
            compiled = runner.compiled()
            if compiled:
                self._write(*place, compiled)
        except Exception as error:  # noqa: BLE001 -- an engine may fail in any way
            self._say(reachable, f"the compiled model cannot be kept: {why(error)}")

    def refuse(self, reachable: Reachable, reason: str) -> None:
        """What was found is as it was written, and of no use: none is kept for a day.

        By then it may do: a busy machine is free, or the memory is not that of others.
        """
        self._say(reachable, f"its compiled model is of no use, it is compiled again: {reason}")
        place = self._place(reachable)
        if place is not None:
            with suppress(OSError):
                self._write(*place, b"")

    def _place(self, reachable: Reachable) -> tuple[str, str] | None:
        """The file, and its key; None where the engine compiles nothing or nothing may be kept."""
        if not is_wanted():
            return None
        try:
            facts = reachable.backend.compiled_for(reachable.device)
            if facts is None:
                return None
            folder = self._directory or os.path.join(cache_directory(), _FOLDER)
            self._prepare(folder)
        except Exception as error:  # noqa: BLE001 -- an engine may fail in any way
            self._say(reachable, f"compiled models are not kept: {why(error)}")
            return None
        candidate = reachable.candidate
        words = (
            __version__,
            _machine(self._plugin_of(candidate.backend)),
            self._digest,
            candidate.variant,
            candidate.backend,
            candidate.device,
            repr(sorted(candidate.options.items())),
            facts,
            # What oneDNN may use of the processor.
            *(f"{key}={os.environ[key]}" for key in sorted(os.environ) if key.startswith("ONEDNN")),
        )
        key = sha256("\0".join(words).encode()).hexdigest()
        return os.path.join(folder, f"{key[:32]}{_SUFFIX}"), key

    def _prepare(self, folder: str) -> None:
        """Make the directory, refuse one that is another user's, clear away what was left.

        Raises:
            OSError: it cannot be made, or somebody else may write to it.
        """
        prepare_folder(folder)
        if not self._is_swept:
            self._is_swept = True
            sweep(folder)

    def _write(self, path: str, key: str, compiled: bytes) -> None:
        write_private(path, key, compiled, durable=False)
        _shrink(os.path.dirname(path))

    def _say(self, reachable: Reachable, message: str) -> None:
        candidate = str(reachable.candidate)
        if message in self._said:
            return
        self._said.add(message)
        self._tell(Event(kind="cache", message=f"{candidate}: {message}", candidate=candidate))


def _shrink(folder: str) -> None:
    """Remove what was not used for longest, until what is left is not too much."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [(entry.stat(), entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        total = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda item: item[0].st_mtime):
            if total <= _MOST_BYTES:
                break
            os.unlink(path)
            total -= status.st_size


@cache
def _machine(plugin: str) -> str:
    return fingerprint((), (plugin,))
