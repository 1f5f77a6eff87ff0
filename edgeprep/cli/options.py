"""Options that several commands share, and kinds of values."""

import math
from typing import Any

import click

from edgeprep.runtime.following import MOST_TIMEOUT_S
from edgeprep.runtime.goals import GOALS

__all__ = [
    "NamedPath",
    "Seconds",
    "bundle_argument",
    "goal_option",
    "isolate_option",
    "prefer_option",
]


class NamedPath(click.Path):
    """A path that is not empty, as that of a variable which a script forgot to set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty one, of which Python would make the working directory."""
        if value == "":
            self.fail("must be a path, got ''", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(click.FloatRange):
    """A time above 0, and at most so long as a source may be waited for."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=MOST_TIMEOUT_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no number, too, which lies in every range."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"must be finite, got {value!r}", param, ctx)
        return seconds


bundle_argument = click.argument("bundle", type=NamedPath())

prefer_option = click.option(
    "--prefer",
    metavar="WORD",
    help="Only candidates of this variant, format, precision, backend, device or kind of device.",
)

goal_option = click.option(
    "--goal",
    type=click.Choice(GOALS),
    default="latency",
    show_default=True,
    help="What the choice is for: the quickest answer, the most pictures a second, or the least "
    "memory.",
)

isolate_option = click.option(
    "--isolate/--no-isolate",
    default=None,
    help="Keep engines in processes of their own, or in this one; by default they are only tried "
    "there.",
)
