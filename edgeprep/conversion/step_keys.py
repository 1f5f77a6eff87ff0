"""The keys that results of long steps are kept by: digests of all that they depend on."""

from collections.abc import Iterable

import torch

from edgeprep.conversion.digests import (
    digest,
    digest_chain,
    digest_code,
    digest_data,
    digest_engines,
    digest_machine,
    digest_model,
    digest_network,
)
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.interfaces import Pass, Source
from edgeprep.train.digests import digest_files

__all__ = ["pass_key", "ranking_key", "trials_key"]


def pass_key(plan: Plan, step: Pass, network: torch.nn.Module, source: Source) -> str:
    """Of what `step` makes of `network`, which is that of `source`."""
    reads = step.reads()
    read: dict[str, object] = {"placement": plan.placements[0]} if reads else {}
    if "quantization" in reads:
        read["quantization"] = repr((source.quantization, source.keep_float))
    if "speed" in reads:
        read["engines"] = digest_engines((one.exporter, one.backend) for one in plan.variants)
        read["machine"] = digest_machine()
    return digest(
        step=(step.name, repr(step)),
        files=digest_files(step.files(plan.recipe.directory)),
        train=repr(plan.recipe.train),
        **_shared(plan, network, (type(step),)),
        **read,
    )


def ranking_key(plan: Plan, network: torch.nn.Module) -> str:
    """Of the order in which the layers of `network` go back into float."""
    return digest(
        step="ranking",
        placement=plan.placements[0],
        quantization=repr(plan.recipe.quantize.policy),
        **_shared(plan, network),
    )


def trials_key(plan: Plan, network: torch.nn.Module, planned: PlannedVariant) -> str:
    """Of what is known of the ways to quantize `network` as one variant of a recipe."""
    recipe = plan.recipe
    return digest(
        step="trials",
        variant=planned.name,
        placement=planned.placement,
        quantization=repr((planned.quantization, planned.keep_float, recipe.quantize)),
        budget=repr(recipe.budget),
        # Some of them may be fine-tuned.
        train=repr(recipe.train),
        engines=digest_engines([(planned.exporter, planned.backend)]),
        machine=digest_machine(),
        **_shared(plan, network),
    )


def _shared(
    plan: Plan, network: torch.nn.Module, classes: Iterable[type] = ()
) -> dict[str, object]:
    return {
        "code": digest_code((*classes, type(plan.task), *map(type, plan.augment))),
        "network": digest_network(network),
        "model": digest_model(plan.recipe),
        "data": digest_data(plan.recipe),
        "chain": digest_chain(plan.chain),
        "augment": repr(plan.augment),
        "task": repr(plan.task),
        "metric": plan.metric.name if plan.metric else None,
    }
