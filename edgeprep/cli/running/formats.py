"""What `--format` may be."""

from collections.abc import Sequence
from pathlib import Path

from edgeprep.cli.running.answers import Answers, JsonAnswers, LineAnswers, TextAnswers
from edgeprep.cli.running.sources import FilmFile, PictureFile
from edgeprep.interfaces import Task

__all__ = ["FORMATS", "LIVE_FORMATS", "answers_in"]

FORMATS = ("text", "json", "jsonl", "csv", "coco")
# A live source has no end at which one document could be printed.
LIVE_FORMATS = ("text", "jsonl", "csv")


def answers_in(
    form: str,
    task: Task,
    files: Sequence[PictureFile | FilmFile],
    categories: Path | None,
    *,
    frames: bool,
) -> Answers:
    """What takes results, and prints them.

    Args:
        form: one of `FORMATS`.
        task: what results are of.
        files: all that is run.
        categories: of COCO, in a file; None: there is none.
        frames: whether people see a line for each frame.
    """
    match form:
        case "json":
            return JsonAnswers()
        case "jsonl":
            return LineAnswers()
        case "csv":
            from edgeprep.cli.running.rows import CsvAnswers

            return CsvAnswers()
        case "coco":
            from edgeprep.cli.running.coco import CocoAnswers

            return CocoAnswers(task, files, categories)
    return TextAnswers(frames=frames)
