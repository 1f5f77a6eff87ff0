"""Results drawn into pictures, by the marks that they give; it needs Pillow.

Whoever draws imports it where it is needed: sessions, which give results, do without.
"""

from edgeprep.drawing.draw import draw, marks_of
from edgeprep.drawing.sheet import Sheet

__all__ = ["Sheet", "draw", "marks_of"]
