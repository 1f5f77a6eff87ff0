"""`edgeprep benchmark`: every candidate, measured in turns."""

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import bundle_argument, goal_option, isolate_option, prefer_option
from edgeprep.cli.output import emit, format_option
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.explain import explain
from edgeprep.runtime.goals import Goal

__all__ = ["command"]


@click.command(name="benchmark", cls=Command)
@bundle_argument
@prefer_option
@goal_option
@isolate_option
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=15,
    show_default=True,
    help="How often each candidate has its turn.",
)
@verbose_option
@format_option
def command(
    bundle: str, prefer: str | None, goal: Goal, isolate: bool | None, rounds: int, form: str
) -> None:
    """Measure every way in which this machine can run a bundle.

    All candidates stay loaded and take turns, so that a busy machine disturbs them alike.
    """
    name, outcomes = measure_all(bundle, prefer=prefer, goal=goal, rounds=rounds, isolate=isolate)
    choice, *_ = documents = [outcome.to_json() for outcome in outcomes]
    emit(
        explain(outcomes, name=name, remembered=False),
        {"choice": choice, "candidates": documents},
        form,
    )
