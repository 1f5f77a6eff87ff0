"""Each killer of int8 is found in a network that has it, and not in one that has not."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeprep.conversion.killers import Finding, find_killers, observe
from edgeprep.errors import ExportError

SAMPLES = 8


def noise(*shape, samples=SAMPLES):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(1, *shape, generator=generator) for _ in range(samples)]


def found(network, *shape, samples=SAMPLES):
    """What is found, by the name of the killer and the modules."""
    batches = noise(*shape, samples=samples)
    example = torch.zeros(1, *shape)
    return find_killers(observe(network.eval(), example, batches))


def names(findings):
    return [(finding.killer, finding.paths) for finding in findings]


class Lambda(nn.Module):
    """A module that calls a function, and holds what it needs."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# --- joined outputs


def detector(join, factor):
    def forward(self, x):
        boxes = factor * self.boxes(x).flatten(2)
        scores = self.scores(x).flatten(2).sigmoid()
        return join(boxes, scores)

    return Lambda(forward, boxes=nn.Conv2d(3, 4, 1), scores=nn.Conv2d(3, 5, 1))


def joined_and_turned(boxes, scores):
    return torch.cat([boxes, scores], 1).transpose(1, 2).contiguous()


def test_boxes_and_scores_in_one_output_are_found_through_what_turns_them():
    (finding,) = found(detector(joined_and_turned, 640.0), 3, 8, 8)
    assert (finding.killer, finding.paths, finding.keep_float) == ("joined-outputs", ("",), ())
    small, large = (float(word) for word in finding.measured.split()[5:8:2])
    # A sigmoid of small logits; and boxes in pixels.
    assert 0.5 < small < 1
    assert 640 < large < 6400
    assert f"leaves the smallest {255 * small / large:.1f} of 255 levels" in finding.measured
    assert finding.remedy == (
        "return them as outputs of their own, or bring them to one range before"
    )


@pytest.mark.parametrize(
    ("join", "factor"),
    [
        (joined_and_turned, 1.0),
        (lambda boxes, scores: (boxes, scores), 640.0),
        # What comes after a sum is of one size again.
        (lambda boxes, scores: torch.cat([boxes, scores], 1).sum(1), 640.0),
    ],
    ids=["of one size", "apart", "summed"],
)
def test_outputs_of_one_size_or_apart_are_not_found(join, factor):
    assert names(found(detector(join, factor), 3, 8, 8)) == []


# --- huge constants


def masked(self, x, fill):
    scores = x @ self.key(x).transpose(1, 2)
    return self.value(fill(self, scores).softmax(-1) @ x)


MASK = torch.tensor([[False, False, True, True]])


class Attention(nn.Module):
    def __init__(self, fill, constant):
        super().__init__()
        self.fill = fill
        self.register_buffer("mask", MASK, persistent=False)
        self.register_buffer("bias", torch.zeros(1, 4).masked_fill(MASK, constant))
        self.key, self.value = nn.Linear(6, 6), nn.Linear(6, 6)
        self.constant = constant

    def forward(self, x):
        return masked(self, x, self.fill)


FILLS = {
    "masked_fill": lambda self, x: x.masked_fill(self.mask, self.constant),
    "where": lambda self, x: torch.where(self.mask, self.constant, x),
    "add": lambda self, x: x + self.bias,
}


@pytest.mark.parametrize("constant", [float("-inf"), -1e9, -1e5])
@pytest.mark.parametrize("fill", FILLS)
def test_a_mask_of_a_huge_constant_is_found(fill, constant):
    network = nn.Sequential(nn.Linear(6, 6), Attention(FILLS[fill], constant))
    (finding,) = found(network, 4, 6)
    assert (finding.killer, finding.paths, finding.keep_float) == ("huge-constant", ("1",), ("1",))
    size = (
        "an infinity (no range holds it)"
        if constant == -np.inf
        else f"a constant of {-constant:.3g} (a step of eight bits is {-constant / 255:.3g} then)"
    )
    assert finding.measured.startswith(f"{fill} brings in {size} beside values in -")
    assert finding.remedy.startswith("use a number that is just far enough, such as -2")


IN_PLACE = {
    "masked_fill": lambda self, x: x.masked_fill_(self.mask, self.constant),
    "add": lambda self, x: x.add_(self.bias),
}


@pytest.mark.parametrize("fill", IN_PLACE)
def test_a_mask_that_is_filled_in_in_place_is_found_beside_what_was_there_before(fill):
    network = Attention(IN_PLACE[fill], -1e9)
    (finding,) = found(network, 4, 6)
    network.fill = FILLS[fill]
    (other,) = found(network, 4, 6)
    assert finding.killer == "huge-constant"
    assert finding.measured == other.measured


@pytest.mark.parametrize("fill", FILLS)
def test_a_mask_that_is_just_far_enough_is_not_found(fill):
    assert names(found(Attention(FILLS[fill], -30.0), 4, 6)) == []


def test_a_mask_is_found_without_samples_too():
    (finding,) = found(Attention(FILLS["masked_fill"], -1e9), 4, 6, samples=0)
    assert finding.measured == (
        "masked_fill brings in a constant of 1e+09 (a step of eight bits is 3.92e+06 then)"
    )
    assert finding.remedy == "use a number that is just far enough"


def test_padding_with_infinity_is_found_and_that_with_the_least_value_is_not():
    def network(value):
        def forward(self, x):
            padded = functional.pad(self.conv(x).relu(), (1, 1, 1, 1), value=value)
            return functional.max_pool2d(padded, 3, 1)

        return Lambda(forward, conv=nn.Conv2d(3, 4, 1))

    (finding,) = found(network(float("-inf")), 3, 8, 8)
    assert finding.killer == "huge-constant"
    assert finding.remedy == (
        "use a number that is just far enough, such as 0, the least that occurs"
    )
    assert names(found(network(0.0), 3, 8, 8)) == []
    # What a pooling pads with by itself is in no tensor.
    assert names(found(nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 1, 1)), 3, 8, 8)) == []


def test_a_mask_that_the_input_makes_is_found_by_its_product():
    def forward(self, x):
        return self.linear(x) + (x[..., :4] > 0).float() * self.huge

    network = Lambda(forward, linear=nn.Linear(6, 4))
    network.huge = -1e9
    assert names(found(network, 4, 6)) == [("huge-constant", ("",))]
    network.huge = -30.0
    assert names(found(network, 4, 6)) == []


def test_a_large_factor_of_small_values_is_no_huge_constant():
    network = Lambda(lambda self, x: self.linear(x * 1e-5 * 1e5), linear=nn.Linear(6, 4))
    assert names(found(network, 4, 6)) == []


# --- channels of different size


def depthwise(spread, *, norm=False):
    """A depthwise layer, one of whose channels is `spread` times as wide, and its reader."""
    first = nn.Conv2d(3, 16, 3, padding=1)
    middle = nn.Conv2d(16, 16, 3, padding=1, groups=16)
    norms = [nn.BatchNorm2d(16)] if norm else []
    last = nn.Conv2d(16, 8, 1)
    factors = torch.ones(16)
    factors[3] = spread
    if norm:
        norms[0].weight.data *= factors
    else:
        middle.weight.data *= factors.reshape(-1, 1, 1, 1)
        middle.bias.data *= factors
    last.weight.data /= factors.reshape(1, -1, 1, 1)
    return nn.Sequential(first, nn.ReLU(), middle, *norms, nn.ReLU(), last)


@pytest.mark.parametrize("norm", [False, True], ids=["weights", "folded norm"])
def test_a_depthwise_layer_with_one_wide_channel_is_found_and_what_takes_it(norm):
    weights, ranges = found(depthwise(200.0, norm=norm), 3, 8, 8)
    assert (weights.killer, weights.level) == ("channel-weights", "note")
    assert weights.paths == ("2",)
    assert weights.measured.startswith("depthwise conv2d has weights up to ")
    assert "one scale for all" in weights.measured
    # The scale of each channel that our int8 has is enough: keeping it in float gains nothing.
    assert weights.keep_float == ()
    last = "5" if norm else "4"
    assert (ranges.killer, ranges.level) == ("channel-ranges", "warning")
    assert ranges.paths == (last,)
    assert ranges.keep_float == (("2", "3", "4", "5") if norm else ("2", "3", "4"))


@pytest.mark.parametrize("norm", [False, True], ids=["weights", "folded norm"])
def test_channels_that_differ_a_little_are_not_found(norm):
    assert names(found(depthwise(4.0, norm=norm), 3, 8, 8)) == []


def test_weights_alone_are_found_without_samples():
    findings = found(depthwise(200.0), 3, 8, 8, samples=0)
    assert names(findings) == [("channel-weights", ("2",))]


def test_a_wide_channel_that_nothing_small_has_to_live_beside_is_no_harm():
    network = depthwise(200.0)
    with torch.no_grad():
        # The reader looks at the wide channel alone: its own levels are all that counts.
        network[4].weight[:, :3] = 0
        network[4].weight[:, 4:] = 0
    assert names(found(network, 3, 8, 8)) == [("channel-weights", ("2",))]


def test_the_channels_of_a_linear_layer_are_the_last_axis():
    factors = torch.logspace(0, 3, 16)
    first, last = nn.Linear(6, 16), nn.Linear(16, 4)
    first.weight.data *= factors[:, None]
    last.weight.data /= factors[None]
    findings = found(nn.Sequential(first, last), 4, 6)
    assert ("channel-ranges", ("1",)) in names(findings)


def test_what_is_predicted_is_what_rounding_does():
    """The decibels of a finding against those of a simulation with real rounding."""
    network = depthwise(200.0)
    (finding,) = (f for f in found(network, 3, 8, 8) if f.killer == "channel-ranges")
    predicted = float(finding.measured.partition("leave ")[2].partition(" dB")[0])
    arriving = torch.cat([network[:4](sample) for sample in noise(3, 8, 8)])
    step = arriving.max() / 255
    with torch.no_grad():
        exact = network[4](arriving).transpose(0, 1).flatten(1)
        rounded = network[4]((arriving / step).round() * step).transpose(0, 1).flatten(1)
    ratio = exact.square().mean(1) / (exact - rounded).square().mean(1)
    assert predicted == pytest.approx(10 * ratio.median().log10().item(), abs=2)


# --- activations with a tail


def activated(activation, outlier):
    first = nn.Conv2d(3, 16, 1)
    with torch.no_grad():
        # One channel of 16 that rarely fires, and strongly.
        first.weight[0] = 0
        first.weight[0, 0] = outlier
        first.bias[0] = -3.2 * outlier if outlier else 0
    return nn.Sequential(first, activation, nn.Conv2d(16, 8, 1))


@pytest.mark.parametrize(
    "activation",
    [nn.SiLU(), nn.SiLU(inplace=True), nn.Hardswish(), nn.Hardswish(inplace=True), nn.GELU()],
    ids=repr,
)
def test_a_tail_below_one_level_is_found_and_a_usual_one_is_not(activation):
    findings = found(activated(activation, 300.0), 3, 24, 24)
    (finding,) = (f for f in findings if f.killer == "activation-tail")
    assert (finding.paths, finding.keep_float) == (("1",), ("0", "1", "2"))
    assert '[quantize] calibrator = "percentile" and percentile = 99.9,' in finding.remedy
    assert names(found(activated(activation, 0.0), 3, 24, 24)) == []


# --- batch norms


def test_norms_behind_their_layer_are_not_found():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(4 * 64, 8),
        nn.Dropout(),
        nn.BatchNorm1d(8),
    )
    assert names(found(network, 3, 8, 8)) == []


def test_a_norm_behind_a_dropout_in_place_is_not_found():
    network = nn.Sequential(nn.Linear(6, 8), nn.Dropout(inplace=True), nn.BatchNorm1d(8))
    assert names(found(network, 6)) == []


def test_norms_that_cannot_fold_are_listed_with_what_they_come_behind():
    def branched(self, x):
        y = self.conv(x)
        return self.norm(y) + y

    network = nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.BatchNorm2d(4),
        Lambda(branched, conv=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm2d(4)),
        nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4),
    )
    (finding,) = found(network, 3, 8, 8)
    assert (finding.killer, finding.paths) == ("loose-batch-norm", ("0", "3", "4.norm"))
    assert finding.measured == (
        "3 of 4 batch norms do not fold into a layer, as they come behind "
        "a conv2d that others take, too, relu, the input: they stay, with one scale for channels "
        "that they stretch differently"
    )
    assert finding.keep_float == ("0", "3", "4.norm")


def test_a_function_that_takes_statistics_anew_is_found():
    def forward(self, x):
        return functional.batch_norm(self.conv(x), None, None, training=True)

    (finding,) = found(Lambda(forward, conv=nn.Conv2d(3, 4, 1)), 3, 8, 8)
    assert (finding.killer, finding.paths) == ("loose-batch-norm", ("",))
    assert finding.remedy == (
        "use the running statistics: eval mode, or training=False in a function"
    )


# --- outputs that say nothing


def test_a_head_of_zeros_is_found_by_its_weights_and_by_what_it_says():
    head = nn.Linear(4, 3)
    nn.init.zeros_(head.weight)
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), head)
    assert names(found(network, 3, 8, 8)) == [
        ("zero-weights", ("2",)),
        ("constant-output", ("2",)),
    ]
    (finding, _) = found(network, 3, 8, 8)
    assert str(finding) == (
        "model '2': all 12 weights of linear are 0, which has no scale; are these trained weights? "
        "load them by model.weights, or leave the layer out"
    )
    assert names(found(network, 3, 8, 8, samples=0)) == [("zero-weights", ("2",))]


def test_an_output_that_is_the_same_for_all_pictures_is_found():
    def forward(self, x):
        return self.conv(x), self.anchors

    network = Lambda(forward, conv=nn.Conv2d(3, 4, 1))
    network.register_buffer("anchors", torch.arange(4.0))
    (finding,) = found(network, 3, 8, 8)
    assert finding.killer == "constant-output"
    assert finding.measured == ("output 1 differs by 0 between 8 samples, and reaches 3")


# --- what is said


def test_a_finding_says_where_what_and_what_to_paste():
    finding = Finding(
        killer="channel-ranges",
        paths=("a", "b", "c", "d", "e"),
        measured="five of them",
        remedy="write them otherwise",
        keep_float=("a", "b"),
    )
    assert str(finding) == (
        "model 'a', 'b', 'c' and 2 more: five of them; write them otherwise; "
        'or in the recipe, [quantize] keep_float = ["a", "b"]'
    )
    assert finding.to_json()["keep_float"] == ["a", "b"]


def test_a_network_that_torch_cannot_export_is_an_error_of_ours():
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x

    with pytest.raises(ExportError, match=r"^torch\.export must take the network, got "):
        found(Lambda(forward), 3, 8, 8)
