"""Every deliberate error of edgeprep.

    EdgePrepError
    ├── RecipeError             a recipe breaks a rule (also ValueError)
    ├── CheckpointError         weights do not fit, or are not safe to read (also ValueError)
    ├── DataError               calibration or evaluation data cannot be used (also ValueError)
    ├── ConvertError            a step of a conversion failed
    │   ├── TrainingError       a network cannot learn any further
    │   ├── ExportError         a format could not be written
    │   ├── ParityError         an exported variant does not compute what the source computes
    │   └── BudgetError         the budget cannot be kept
    ├── BundleError             a file is not a usable bundle (also ValueError)
    │   ├── BundleFormatError   its structure breaks a rule
    │   ├── BundleTruncated     it ends too early
    │   ├── DigestError         its bytes are not the bytes that were packed
    │   └── IncompatibleBundle  it was written for another edgeprep
    ├── BackendError            an engine failed
    │   ├── BackendUnavailable  a library is not on this machine (also ImportError)
    │   ├── BackendCrashed      the process that an engine ran in died
    │   ├── BackendTimeout      an engine did not answer in time (also TimeoutError)
    │   ├── BackendOutOfMemory  an engine wanted more than it may have (also MemoryError)
    │   ├── BackendWrongOutput  an engine computes other numbers than the golden ones
    │   └── NoUsableBackend     no candidate can run this bundle here
    ├── InputError              a caller's array or picture cannot be used (also ValueError)
    │   ├── ShapeError          wrong rank, size or layout
    │   ├── DTypeError          wrong element type (also TypeError)
    │   ├── ImageTooLarge       more pixels than allowed
    │   ├── ImageDecodeError    not a picture that can be read
    │   ├── SettingError        an environment variable says what nobody knows
    │   └── FilmError           a film, or what a camera sends, cannot be read to its end
    │       └── StreamStalled   a live source sends nothing for too long (also TimeoutError)
    ├── OutputError             what a network answered cannot be used
    │   └── NonFiniteOutput     NaN or infinity
    ├── PluginError             a plugin, or a name that plugins offer, breaks a rule
    │   ├── PluginConflict      two plugins offer the same name
    │   └── UnknownName         nothing on this machine offers that name (also LookupError)
    ├── PreferenceError         `prefer` names nothing that a bundle has (also ValueError)
    ├── StorageError            a file could not be read or written (also OSError)
    │   └── OutputRefused       an output may not be where it was asked for
    │       └── OutputExists    it is there already (also FileExistsError)
    ├── ClosedError             a session or runner was used after close
    └── ForkedRunnerError       a session was used in a forked child process

Messages follow one grammar: ``<where>: <rule>, got <value>[; <remedy>]``.
"""

__all__ = [
    "BackendCrashed",
    "BackendError",
    "BackendOutOfMemory",
    "BackendTimeout",
    "BackendUnavailable",
    "BackendWrongOutput",
    "BudgetError",
    "BundleError",
    "BundleFormatError",
    "BundleTruncated",
    "CheckpointError",
    "ClosedError",
    "ConvertError",
    "DTypeError",
    "DataError",
    "DigestError",
    "EdgePrepError",
    "ExportError",
    "FilmError",
    "ForkedRunnerError",
    "ImageDecodeError",
    "ImageTooLarge",
    "IncompatibleBundle",
    "InputError",
    "NoUsableBackend",
    "NonFiniteOutput",
    "OutputError",
    "OutputExists",
    "OutputRefused",
    "ParityError",
    "PluginConflict",
    "PluginError",
    "PreferenceError",
    "RecipeError",
    "SettingError",
    "ShapeError",
    "StorageError",
    "StreamStalled",
    "TrainingError",
    "UnknownName",
]


class EdgePrepError(Exception):
    """The base of every error that edgeprep raises on purpose."""


class RecipeError(EdgePrepError, ValueError):
    """A recipe breaks a rule; the message starts with the path of the fault."""


class CheckpointError(EdgePrepError, ValueError):
    """Weights do not fit the network, or cannot be read without running code."""


class DataError(EdgePrepError, ValueError):
    """Calibration or evaluation data cannot be used."""


class ConvertError(EdgePrepError):
    """A step of a conversion failed."""


class TrainingError(ConvertError):
    """A network cannot learn any further, such as where its loss is no number any more."""


class ExportError(ConvertError):
    """A format could not be written, on any of its roads."""


class ParityError(ConvertError):
    """An exported variant does not compute what the source computes."""


class BudgetError(ConvertError):
    """A variant loses more than the budget allows, costs more, or cannot be used at all.

    Attributes:
        reached: what was tried and what came of it, as JSON has it.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.reached: dict[str, object] = {}


class BundleError(EdgePrepError, ValueError):
    """A file is not a usable bundle."""


class BundleFormatError(BundleError):
    """The structure of a bundle breaks a rule."""


class BundleTruncated(BundleError):
    """A bundle ends before its last member does."""


class DigestError(BundleError):
    """The bytes of a bundle are not the bytes that were packed."""


class IncompatibleBundle(BundleError):
    """A bundle was written for another version of edgeprep, or with plugins that are not here."""


class BackendError(EdgePrepError):
    """An engine failed to load or to run a model."""


class BackendUnavailable(BackendError, ImportError):
    """A library, or what it needs, is not on this machine."""


class BackendCrashed(BackendError):
    """The process that an engine ran in died, such as by a signal."""


class BackendTimeout(BackendError, TimeoutError):
    """An engine did not answer in time, and the process that it ran in was ended."""


class BackendOutOfMemory(BackendError, MemoryError):
    """An engine wanted more memory than the process that it ran in may have."""


class BackendWrongOutput(BackendError):
    """An engine computes other numbers than those that came with the bundle."""


class NoUsableBackend(BackendError):
    """No candidate can run this bundle on this machine."""


class InputError(EdgePrepError, ValueError):
    """A caller's array or picture cannot be used."""


class ShapeError(InputError):
    """An array has the wrong rank, size or layout."""


class DTypeError(InputError, TypeError):
    """An array has the wrong element type."""


class ImageTooLarge(InputError):
    """A picture has more pixels than allowed."""


class ImageDecodeError(InputError):
    """A file is not a picture that can be read."""


class SettingError(InputError):
    """An environment variable says what nobody knows."""


class FilmError(InputError):
    """A film, or what a camera sends, cannot be read to its end."""


class StreamStalled(FilmError, TimeoutError):
    """A live source sends nothing for too long."""


class OutputError(EdgePrepError):
    """What a network answered cannot be used."""


class NonFiniteOutput(OutputError):
    """A network's output holds NaN or infinity."""


class PluginError(EdgePrepError):
    """A plugin, or a name that plugins offer, breaks a rule."""


class PluginConflict(PluginError):
    """Two plugins offer the same name."""


class UnknownName(PluginError, LookupError):
    """Nothing on this machine offers that name."""


class PreferenceError(EdgePrepError, ValueError):
    """`prefer` names nothing that a bundle or the backends of this machine have."""


class StorageError(EdgePrepError, OSError):
    """A file could not be read or written."""


class OutputRefused(StorageError):
    """An output may not be where it was asked for, such as in the place of what is read."""


class OutputExists(OutputRefused, FileExistsError):
    """The output is there already."""


class ClosedError(EdgePrepError):
    """A session or runner was used after it was closed."""


class ForkedRunnerError(EdgePrepError):
    """A session was used in a forked child process, where engines hang."""
