"""The contact sheet of pictures that were run, page by page."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeprep.cli.output import one_line
from edgeprep.cli.running.sources import SHEET_CELL, SHEET_COLUMNS, SheetPage
from edgeprep.pictures import write_picture

if TYPE_CHECKING:
    from edgeprep.drawing import Sheet

__all__ = ["Sheets"]


class Sheets:
    """Puts drawn pictures on pages; a page is written when it is full, or at the end.

    Args:
        pages: where they go.
        overwrite: whether they may replace what is there.
    """

    def __init__(self, pages: Sequence[SheetPage], *, overwrite: bool) -> None:
        self._pages: Iterator[SheetPage] = iter(pages)
        self._overwrite = overwrite
        self._page: SheetPage | None = None
        self._sheet: Sheet | None = None
        self._filled = 0

    def add(self, picture: NDArray[np.uint8], name: str, words: str) -> None:
        """Put one in the next cell."""
        from edgeprep.drawing import Sheet

        if self._sheet is None or self._page is None:
            self._page = next(self._pages)
            self._sheet = Sheet(self._page.cells, columns=SHEET_COLUMNS, cell=SHEET_CELL)
            self._filled = 0
        self._sheet.add(picture, f"{one_line(name)}\n{words}")
        self._filled += 1
        if self._filled == self._page.cells:
            self.finish()

    def finish(self) -> None:
        """Write the page that is not full, where there is one."""
        if self._sheet is not None and self._page is not None:
            write_picture(self._page.path, self._sheet.pixels(), overwrite=self._overwrite)
        self._sheet = self._page = None
