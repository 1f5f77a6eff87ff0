"""`edgeprep sensitivity`."""

import json
import math
import re
import tomllib

import pytest

from edgeprep.cli._sensitivity import describe
from edgeprep.compress.sensitivity import LayerCost
from edgeprep.conversion.sensitivity import SensitivityReport

HOSTILE = """
import torch


class Net(torch.nn.Module):
    # The class is the brightest channel, which takes two layers on the way through the hostile one.
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.second = torch.nn.Linear(4, 3)
        self.head = torch.nn.Linear(3, 3, bias=False)
        scales = torch.tensor([1.0, 1.0, 1.0, 1e5])
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(4, 3))
            self.first.bias.copy_(scales)
            self.second.weight.copy_(torch.eye(3, 4))
            self.second.bias.zero_()
            self.head.weight.copy_(torch.eye(3))

    def forward(self, x):
        return self.head(self.second(self.first(x.mean((2, 3)))))


def build():
    return Net()
"""


@pytest.fixture
def recipe(project):
    return project()


@pytest.fixture
def hostile(recipe):
    """The recipe of a network in which one value is large beside all that counts."""
    (recipe.parent / "model.py").write_text(HOSTILE)
    return recipe


def test_layers_are_ranked_with_a_block_for_the_recipe(edgeprep, hostile):
    ended = edgeprep("sensitivity", hostile)
    assert ended.code == 0
    lines = ended.stdout.splitlines()
    assert lines[0].split() == [
        *("rank", "layer", "kind", "parameters", "MACs", "SNR", "dB", "own", "SNR", "dB")
    ]
    worst = {line.split()[1] for line in lines[1:3]}
    assert worst == {"first", "second"}
    assert lines[3].split()[:6] == ["3", "head", "linear", "9", "27.3", "%"]
    assert re.fullmatch(r"all in int8: -?\d+\.\d dB on 24 samples", lines[4])
    block = tomllib.loads(ended.stdout.partition("\n\n")[2])
    assert set(block["quantize"]["keep_float"]) == {"first", "second"}
    assert "quantize each layer alone" in ended.stderr


DEAD = """
import torch


class Net(torch.nn.Module):
    # What `unused` gives is multiplied by zero: it changes nothing.
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.unused = torch.nn.Linear(3, 3)
        self.head = torch.nn.Linear(3, 3)
        self.head.weight.data.copy_(torch.eye(3))

    def forward(self, x):
        pixels = x.mean((2, 3))
        return self.head(pixels) + torch.zeros(3) * self.unused(pixels + 1)


def build():
    return Net()
"""


def test_a_layer_that_changes_nothing_is_told_from_one_that_ruins_all(edgeprep, recipe):
    (recipe.parent / "model.py").write_text(DEAD)
    rows = [line.split() for line in edgeprep("sensitivity", recipe).stdout.splitlines()]
    snr_db = {row[1]: row[-2] for row in rows[1:3]}
    assert re.fullmatch(r"\d+\.\d", snr_db["head"])
    assert snr_db["unused"] == "inf"
    document = json.loads(edgeprep("sensitivity", recipe, "--format", "json").stdout)
    assert document["layers"][-1]["snr_db"] == "inf"


def test_the_block_can_be_pasted(edgeprep, hostile):
    block = edgeprep("sensitivity", hostile, "--quiet").stdout.partition("\n\n")[2]
    hostile.write_text(f"{hostile.read_text()}\n{block}")
    ended = edgeprep("sensitivity", hostile, "--quiet")
    assert ended.code == 0
    assert ended.stdout.endswith("no layer needs to stay in float for 20 dB\n")
    assert ended.stderr == ""


def test_what_the_recipe_keeps_already_is_in_the_block(edgeprep, hostile):
    hostile.write_text(f'{hostile.read_text()}\n[quantize]\nkeep_float = ["fir*"]\n')
    head, _, text = edgeprep("sensitivity", hostile).stdout.partition("\n\n")
    assert head.endswith(" dB; the table takes the place of [quantize], if the recipe has one")
    assert tomllib.loads(text) == {"quantize": {"keep_float": ["fir*", "second"]}}


def test_a_network_without_a_hostile_layer_needs_nothing(edgeprep, recipe):
    ended = edgeprep("sensitivity", recipe)
    assert ended.code == 0
    assert ended.stdout.endswith("no layer needs to stay in float for 20 dB\n")


def test_a_number_of_layers_can_be_asked_for(edgeprep, hostile):
    ended = edgeprep("sensitivity", hostile, "--keep", 1, "--format", "json")
    document = json.loads(ended.stdout)
    assert document["schema_version"] == 1
    assert document["threshold_db"] is None
    assert document["keep_float"] == [document["layers"][0]["path"]]


def test_the_metric_confirms_the_worst_layers(edgeprep, hostile):
    ended = edgeprep("sensitivity", hostile, "--confirm", 2, "--subset", 12, "--format", "json")
    document = json.loads(ended.stdout)
    assert (document["metric"], document["source"], document["confirmed"]) == ("accuracy", 1.0, 12)
    drops = [layer["drop"] for layer in document["layers"]]
    assert drops[0] > 0.3  # three classes are told apart no better than by chance
    assert drops[2] is None


def test_the_table_shows_what_the_metric_loses(edgeprep, hostile):
    ended = edgeprep("sensitivity", hostile, "--confirm", 1)
    head, first, second, *_ = ended.stdout.splitlines()
    assert head.endswith("accuracy drop")
    assert re.search(r" 0\.\d{4}$", first.rstrip())
    assert not re.search(r" 0\.\d{4}$", second.rstrip())
    assert "in float: accuracy 1.0000 on 24 samples" in ended.stdout


def test_the_subset_is_of_all_the_data(edgeprep, hostile):
    # The first six pictures alone would have every class twice as well; their order tells.
    data = hostile.parent / "data.py"
    text = data.read_text().replace("index % 3", "index * 3 // count")
    data.write_text(text)
    ended = edgeprep("sensitivity", hostile, "--confirm", 1, "--subset", 6, "--format", "json")
    assert json.loads(ended.stdout)["layers"][0]["drop"] > 0.3


def test_a_picture_is_drawn(edgeprep, hostile, tmp_path):
    picture = tmp_path / "layers.png"
    ended = edgeprep("sensitivity", hostile, "-o", picture)
    assert ended.code == 0
    assert f"\n{picture}\n\n[quantize]\n" in ended.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_is_there_stays(edgeprep, hostile, tmp_path):
    picture = tmp_path / "layers.png"
    picture.write_text("mine")
    ended = edgeprep("sensitivity", hostile, "-o", picture)
    assert (ended.code, ended.stdout) == (2, "")
    assert picture.read_text() == "mine"
    assert edgeprep("sensitivity", hostile, "-o", picture, "--overwrite").code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_recipe_is_never_drawn_over(edgeprep, hostile):
    before = hostile.read_text()
    ended = edgeprep("sensitivity", hostile, "-o", hostile, "--overwrite")
    assert ended.code == 2
    assert f"-o: must be a file that ends in '.png', got '{hostile}'" in ended.stderr
    assert hostile.read_text() == before


def test_words_that_exclude_each_other_are_refused(edgeprep, recipe):
    ended = edgeprep("sensitivity", recipe, "--keep", 1, "--threshold", 30)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == ("Error: --keep and --threshold exclude each other")


@pytest.mark.parametrize(
    ("removed", "words", "message"),
    [
        (
            "calibration",
            (),
            "data.calibration: required key is missing; ranges of values are measured with it",
        ),
        (
            "evaluation",
            ("--confirm", 1),
            (
                "data.evaluation: required key is missing; the metric is measured with it; leave "
                "--confirm out to do without"
            ),
        ),
    ],
)
def test_data_that_are_missing_are_named(edgeprep, recipe, removed, words, message):
    text = re.sub(rf"{removed} .*\n", "", recipe.read_text())
    recipe.write_text(text.replace('["fp32", "int8"]', '["fp32"]'))
    ended = edgeprep("sensitivity", recipe, *words)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"edgeprep: {message}\n"


def test_a_network_with_nothing_to_quantize_is_refused(edgeprep, recipe):
    (recipe.parent / "model.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n"
        "    def forward(self, x):\n        return x.amax((2, 3)).exp()\n\n\n"
        "def build():\n    return Net()\n"
    )
    ended = edgeprep("sensitivity", recipe, "--quiet")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: simulated int8: the network must compute something that can be quantized, got "
        "['amax', 'exp']; what torch.jit has compiled cannot be seen\n"
    )


def test_a_layer_that_leaves_nothing_of_the_signal_says_so():
    layer = LayerCost(
        path="head",
        kinds=("linear",),
        snr_db=-math.inf,
        own_snr_db=math.inf,
        parameters=9,
        macs=1.0,
    )
    report = SensitivityReport(
        layers=(layer,),
        samples=4,
        snr_db=-math.inf,
        keep_float=(),
        kept_snr_db=None,
        threshold_db=20.0,
    )
    _, row, total, *_ = describe(report).splitlines()
    assert row.split() == ["1", "head", "linear", "9", "100.0", "%", "-inf", "inf"]
    assert total == "all in int8: -inf dB on 4 samples"
    document = report.to_json()
    assert (document["snr_db"], document["layers"][0]["own_snr_db"]) == ("-inf", "inf")
