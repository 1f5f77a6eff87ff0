"""Readers of calibration and evaluation data."""

from edgeprep.data.factory import load_factory, load_module
from edgeprep.data.from_factory import FromFactory
from edgeprep.data.image_folder import ImageFolder
from edgeprep.data.noise import Random
from edgeprep.data.prepared import (
    Prepared,
    check_clips,
    describe_count,
    warning_of_skipped,
)
from edgeprep.data.preparing import prepare_each, prepare_samples
from edgeprep.data.progress import WARNING, Progress, silent, warn
from edgeprep.data.reader import Reader
from edgeprep.data.readers import build_reader
from edgeprep.data.samples import Sample, Samples, Skipped

__all__ = [
    "WARNING",
    "FromFactory",
    "ImageFolder",
    "Prepared",
    "Progress",
    "Random",
    "Reader",
    "Sample",
    "Samples",
    "Skipped",
    "build_reader",
    "check_clips",
    "describe_count",
    "load_factory",
    "load_module",
    "prepare_each",
    "prepare_samples",
    "silent",
    "warn",
    "warning_of_skipped",
]
