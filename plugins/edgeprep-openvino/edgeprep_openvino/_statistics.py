"""What NNCF has to know of a network on its samples, measured once for many choices of layers.

Importing this module imports nncf, which takes seconds.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeprep.errors import ExportError
from edgeprep.interfaces import Quantization, Source
from edgeprep.ranges import Histogram, choose_range
from edgeprep_openvino._convert import Converted
from edgeprep_openvino._nncf import (
    MinMaxTensorStatistic,
    StatisticPoint,
    StatisticPointsContainer,
    Tensor,
    pipeline,
)

__all__ = ["Statistics", "Value", "count", "statistics_of"]

# A value of a network: the name of the operation that gives it, and which of its outputs it is.
Value = tuple[str, int]
Feed = tuple[NDArray[np.float32], ...]

_collect = pipeline.collect_statistics


@dataclass(slots=True, kw_only=True, eq=False)
class Statistics:
    """Statistics of one network on some samples; they grow with what is asked for.

    Attributes:
        network: in float.
        samples: all that the network takes, one inference each.
        policy: how ranges are chosen from them.
    """

    network: ov.Model
    samples: list[Feed]
    policy: Quantization
    _known: dict[Any, Any] = field(default_factory=dict)
    _histograms: dict[Value, Histogram] = field(default_factory=dict)

    def collect(
        self, containers: Any, model: ov.Model, graph: Any, dataset: Any
    ) -> StatisticPointsContainer:
        """In the place of nncf's function of this name: what is known, and the rest measured."""
        points = StatisticPointsContainer()
        missing = StatisticPointsContainer()
        for container in containers if isinstance(containers, list) else [containers]:
            for group in container.values():
                for point in group:
                    points.add_statistic_point(point)
        for algorithm, point, collector in points.get_tensor_collectors():
            if _key(point, collector) not in self._known:
                missing.add_statistic_point(
                    StatisticPoint(point.target_point, collector, algorithm)
                )
        if missing:
            _collect(missing, model, graph, dataset)
            for _, point, collector in missing.get_tensor_collectors():
                self._known[_key(point, collector)] = collector.get_statistics()
        for _, point, collector in points.get_tensor_collectors():
            collector.set_cache(self._known[_key(point, collector)])
        if self.policy.calibrator != "min-max":
            self._choose(points, model)
        return points

    def histograms(self, values: Iterable[Value]) -> dict[Value, Histogram]:
        """How often numbers occur in `values` of the network on its samples."""
        wanted = dict.fromkeys(values)
        missing = [value for value in wanted if value not in self._histograms]
        if missing:
            self._histograms |= count(self.network, missing, self.samples)
        return {value: self._histograms[value] for value in wanted}

    def _choose(self, points: StatisticPointsContainer, model: ov.Model) -> None:
        nodes = {node.friendly_name: node for node in model.get_ops()}
        found = [
            (_value_at(point.target_point, nodes), collector)
            for _, point, collector in points.get_tensor_collectors()
            if not point.target_point.is_weight_target_point()
            and isinstance(collector.get_statistics(), MinMaxTensorStatistic)
        ]
        histograms = self.histograms(value for value, _ in found)
        ranges = {
            value: choose_range(histogram, self.policy) for value, histogram in histograms.items()
        }
        for value, collector in found:
            statistic = collector.get_statistics()
            # One range, or one a channel, as nncf has it before depthwise convolutions: no channel
            # needs more than what occurs in it.
            low, high = ranges[value]
            statistic.min_values = Tensor(np.clip(statistic.min_values.data, low, high))
            statistic.max_values = Tensor(np.clip(statistic.max_values.data, low, high))
            collector.set_cache(statistic)


def statistics_of(source: Source, converted: Converted) -> Statistics:
    """The statistics of `source`, as far as they were measured for an earlier export.

    Raises:
        ExportError: there are no samples, or they are not finite.
    """
    samples = source.calibration_preprocessed
    if not len(samples):
        raise ExportError("exporter 'openvino': int8 needs calibration samples, got 0")
    if not np.isfinite(samples).all():
        raise ExportError(
            "exporter 'openvino': int8 needs finite calibration samples, got nan or inf"
        )
    digest = hashlib.sha256()
    for taken in (samples, *source.calibration_states):
        digest.update(np.ascontiguousarray(taken).data)
    known = converted.statistics.setdefault(
        digest.hexdigest(),
        Statistics(
            network=converted.network, samples=list(source.network_feeds()), policy=Quantization()
        ),
    )
    known.policy = source.quantization
    return known


def count(
    network: ov.Model, values: Iterable[Value], samples: Iterable[Feed]
) -> dict[Value, Histogram]:
    """How often numbers occur in `values` of `network` for `samples`."""
    observed = network.clone()
    nodes = {node.friendly_name: node for node in observed.get_ops()}
    wanted = list(values)
    # What is an output anyway, as new states are, is not added again.
    ports = observed.add_outputs([nodes[name].output(port) for name, port in wanted])
    request = (
        ov.Core()
        .compile_model(observed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        .create_infer_request()
    )
    histograms = {value: Histogram() for value in wanted}
    for sample in samples:
        request.infer(list(sample))
        for port, histogram in zip(ports, histograms.values(), strict=True):
            histogram.add(request.get_tensor(port).data)
    return histograms


def _key(point: StatisticPoint, collector: Any) -> object:
    target = point.target_point
    reducers = frozenset(hash(reducer) for reducer in collector.reducers)
    aggregators = frozenset(type(one).__name__ for one in collector.aggregators.values())
    return (target.type, target.target_node_name, target.port_id, reducers, aggregators)


def _value_at(target: Any, nodes: dict[str, ov.Node]) -> Value:
    node = nodes[target.target_node_name]
    if target.type.name == "POST_LAYER_OPERATION":
        return node.friendly_name, target.port_id
    value = node.input_value(target.port_id)
    return value.get_node().friendly_name, value.get_index()
