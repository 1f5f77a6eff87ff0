"""An evaluation as files that people and spreadsheets read."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeprep.conversion.evaluation import Evaluation, Score
from edgeprep.errors import OutputExists, OutputRefused, StorageError
from edgeprep.files import atomic_write

__all__ = ["check_report", "write_report"]


def check_report(directory: Path, *, overwrite: bool) -> None:
    """Refuse a directory that `write_report` would refuse, before the work.

    Raises:
        OutputExists: there is a file in it, and `overwrite` is False.
        OutputRefused: it is no directory and cannot become one.
    """
    if directory.exists() and not directory.is_dir():
        raise OutputRefused(f"{directory}: must be a directory, got a file")
    if not directory.parent.is_dir():
        raise OutputRefused(
            f"{directory}: must lie in an existing directory, got {str(directory.parent)!r}"
        )
    if not overwrite and directory.is_dir() and any(directory.iterdir()):
        raise OutputExists(
            f"{directory}: must be an empty or new directory, got one with files in it; "
            "--overwrite replaces those of an earlier report"
        )


def write_report(evaluation: Evaluation, directory: Path, *, overwrite: bool) -> tuple[str, ...]:
    """Write `evaluation` into `directory`, and give the names of the files.

    `report.json` has everything, `scores.csv` a row for each candidate. For tasks with classes
    each candidate has a table of them, `classes-….csv`, and its confusion matrix as a table and a
    picture, `confusion-….csv` and `.png`, where each sample or pixel is taken for one class. They
    appear when all are written; those of an earlier report that have no successor are removed, and
    files that are in none stay.

    Raises:
        OutputExists: there is a file in it, and `overwrite` is False.
        StorageError: it cannot be written.
    """
    check_report(directory, overwrite=overwrite)
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        rule = "must be a directory that can be made"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
    document = {"schema_version": 1, **evaluation.to_json()}
    files = {
        "report.json": json.dumps(document, indent=1).encode() + b"\n",
        "scores.csv": _scores(evaluation),
    }
    for score in evaluation.scores:
        files |= _of_classes(score, evaluation.labels)
    try:
        earlier = _of_earlier(directory)
        with TemporaryDirectory(prefix=".edgeprep-", dir=directory) as scratch:
            for name, content in files.items():
                atomic_write(Path(scratch) / name, [content])
            for name in files:
                (Path(scratch) / name).replace(directory / name)
        for name in earlier - files.keys():
            (directory / name).unlink(missing_ok=True)
    except StorageError:
        raise
    except OSError as error:
        rule = "must be a directory that can be written"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
    return tuple(files)


def _of_earlier(directory: Path) -> set[str]:
    """The files about candidates of the report that is in `directory`."""
    try:
        known = json.loads((directory / "report.json").read_bytes())["candidates"]
        names = [_file_name(one["variant"], one["backend"], one["device"]) for one in known]
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # none, or that of somebody else
    return {file for name in names for file in _names_of_classes(name)}


def _scores(evaluation: Evaluation) -> bytes:
    drops = [f"{name} drop" for name in evaluation.metrics]
    head = ["variant", "backend", "device", "options", *evaluation.metrics, *drops, "median ms"]
    rows = [
        [
            score.candidate.variant,
            score.candidate.backend,
            score.candidate.device,
            " ".join(f"{key}={value}" for key, value in score.candidate.options.items()),
            *(score.values.get(name) for name in evaluation.metrics),
            *(score.drops.get(name) for name in evaluation.metrics),
            score.timing.median_ms,
        ]
        for score in evaluation.scores
    ]
    return _csv([head, *rows])


def _of_classes(score: Score, labels: Sequence[str]) -> Mapping[str, bytes]:
    """The files about classes of one candidate, by name."""
    if not score.classes:
        return {}
    candidate = score.candidate
    name = _file_name(candidate.variant, candidate.backend, candidate.device)
    classes_file, *confusion_files = _names_of_classes(name)
    head = ["label", *score.classes[0].columns()]
    table = [
        [label, *one.values().values()] for label, one in zip(labels, score.classes, strict=True)
    ]
    files = {classes_file: _csv([head, *table])}
    if score.confusion is None:
        return files
    # Here, and not above: it imports matplotlib.
    from edgeprep.metrics.confusion_picture import draw_confusion

    matrix = [[label, *row] for label, row in zip(labels, score.confusion.tolist(), strict=True)]
    contents = (
        _csv([["label", *labels], *matrix]),
        draw_confusion(score.confusion, labels, str(candidate)),
    )
    return files | dict(zip(confusion_files, contents, strict=True))


def _names_of_classes(name: str) -> tuple[str, str, str]:
    return f"classes-{name}.csv", f"confusion-{name}.csv", f"confusion-{name}.png"


def _file_name(*words: str) -> str:
    return "-".join(re.sub(r"[^\w.]+", "-", word) for word in words)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows by RFC 4180; None is an empty field."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
