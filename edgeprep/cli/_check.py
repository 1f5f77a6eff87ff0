"""The heavy half of `edgeprep check`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from edgeprep.cli.progress import Steps, only_warnings, stopping
from edgeprep.conversion.advice import Advice, advise
from edgeprep.conversion.network_check import NetworkCheck, check_network
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["Report", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, for people and for machines."""

    lines: tuple[str, ...]
    document: dict[str, Any]
    has_warnings: bool


def run(
    recipe: Recipe,
    *,
    only: Literal["preprocessing", "network"] | None,
    size: tuple[int, int] | None,
    quiet: bool,
) -> Report:
    """Check the preprocessing, the network, or both."""
    progress = stopping(only_warnings if quiet else Steps())
    advice = None if only == "network" else advise(recipe, size=size, progress=progress)
    wanted = only == "network" or (only is None and _has_int8(recipe))
    network = check_network(recipe, progress=progress) if wanted else None
    nothing: dict[str, Any] = {"size": None, "stages": [], "warnings": [], "unmeasured": {}}
    document = nothing if advice is None else advice.to_json()
    return Report(
        lines=(
            *(() if advice is None else _preprocessing(advice)),
            *(() if network is None else _network(network)),
        ),
        document=document | {"network": network and network.to_json()},
        has_warnings=bool(
            (advice and advice.warnings) or (network and (network.warnings or network.fault))
        ),
    )


def _has_int8(recipe: Recipe) -> bool:
    return any(p.startswith("int8") for target in recipe.target for p in target.precision)


def _preprocessing(advice: Advice) -> Iterator[str]:
    formats = list(dict.fromkeys(name for cost in advice.costs for name in cost.graph_ms))
    head = ("stage", "place", "arriving", "numpy ms", *(f"{name} ms" for name in formats))
    rows = [
        (
            cost.name,
            cost.place,
            f"{cost.height}×{cost.width}",
            f"{cost.numpy_ms:.2f}",
            *(f"{cost.graph_ms[name]:.2f}" if name in cost.graph_ms else "" for name in formats),
        )
        for cost in advice.costs
    ]
    yield format_table(head, rows)
    for name, why in advice.unmeasured.items():
        yield f"not measured: {name}: {why}"
    for index, cost in enumerate(advice.costs):
        for name, why in cost.unmeasured.items():
            stage = cost.name.partition("@")[0]
            yield f"not measured: preprocess[{index}]: {stage} in {name}: {why}"
    for warning in advice.warnings:
        yield f"warning: {warning}"
    if not advice.warnings:
        yield "nothing costly was found"


def _network(network: NetworkCheck) -> Iterator[str]:
    if network.fault:
        yield f"network not checked: {network.fault}"
        return
    for finding in network.findings:
        yield f"{finding.level}: {finding}"
    if not network.samples:
        yield "ranges not measured: data.calibration names no samples"
    elif not network.warnings:
        yield f"nothing that breaks int8 was found in the network, on {network.samples} samples"
