"""tools/coverage: how a cell of its table comes about, and what is said of one that fails."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).parents[2] / "tools"

TINY = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 10,
}

BROKEN = """
import torch


class Network(torch.nn.Module):
    def forward(self, picture):
        return torch.hypot(picture, picture + 1).mean((2, 3))


def build():
    return Network()
"""

RECIPE = """
name = "broken"
input = { size = [8, 8] }
preprocess = [{ use = "scale", to = "0..1" }]
data = { calibration = { use = "random", samples = 2, size = [8, 8] } }
target = [{ format = "onnx", precision = ["fp32", "int8"] }]

[model]
factory = "model:build"

[task]
use = "embed"
"""

WORK = """
import os
import time


def die(network, target):
    os.kill(os.getpid(), 9)


def hang(network, target):
    time.sleep(600)


def find(network, target):
    print("said by a converter")
    return {"fp32": {"parity": 0.0}}
"""


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"architectures.{name}")


@pytest.fixture
def network(module):
    return lambda **config: module("networks").Network(
        name="Tiny ViT",
        factory="ViTForImageClassification",
        use="classify",
        config=TINY | config,
        size=(16, 16),
        outputs=("logits",),
        of="nobody",
    )


@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
def test_a_network_of_transformers_becomes_figures(module, network):
    found = module("cell").measure(network(), "onnx")
    assert [*found] == ["parameters", "fp32", "int8", "seconds", "peak_mb"]
    # 3·64·8 + 8 for the patches, 5·8 for places, 8 for the token, a layer of 600, 16 and 90.
    assert found["parameters"] == 1544 + 40 + 8 + (4 * 72 + 2 * 72 + 2 * 16) + 16 + 90
    assert found["fp32"]["parity"] <= 1e-4
    assert 1e-4 < found["int8"]["parity"] <= 0.5
    assert found["fp32"]["latency_ms"] > 0
    assert found["fp32"]["size_mb"] > found["parameters"] * 4 / 1e6


def test_a_configuration_that_is_refused_is_a_verdict(module, network):
    found = module("cell").measure(network(hidden_size="eight"), "onnx")
    assert found["fp32"]["stage"] == "build"
    assert "Validation error for field 'hidden_size'" in found["fp32"]["reason"]
    assert "int8" not in found


@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
def test_an_operator_that_has_no_form_is_named_with_the_road(module, network, monkeypatch):
    def write(network, folder, *, target):
        (folder / "model.py").write_text(BROKEN)
        recipe = folder / "recipe.toml"
        recipe.write_text(RECIPE)
        return recipe

    cell = module("cell")
    monkeypatch.setattr(cell, "write_checkpoint", write)
    fault = cell.measure(network(), "onnx")["fp32"]
    assert (fault["stage"], fault["operator"]) == ("export", "prims.hypot.default")
    assert fault["road"] == "torch.export, not strict and strict; torch.onnx"
    assert fault["reason"].startswith("onnx: torch.onnx.export must take the network, got ")


@pytest.mark.parametrize(
    ("work", "seconds", "stage", "reason"),
    [
        ("die", 600, "crash", "the process must end by itself, got signal 9"),
        ("hang", 1, "time", "must be done in 1 s, got no end"),
    ],
)
def test_a_process_that_does_not_come_back_is_a_verdict(
    module, network, tmp_path, monkeypatch, work, seconds, stage, reason
):
    (tmp_path / "working.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = tmp_path / "kept" / "onnx.json"
    found = module("running").run_cell(
        network(),
        "onnx",
        result,
        seconds=seconds,
        gigabytes=16,
        work=getattr(import_module("working"), work),
    )
    fault = {"stage": stage, "operator": "", "reason": reason, "road": ""}
    assert found == {"fp32": fault}
    assert json.loads(result.read_text()) == found


def test_what_a_process_finds_and_says_is_kept(module, network, tmp_path, monkeypatch):
    (tmp_path / "working.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = tmp_path / "onnx.json"
    found = module("running").run_cell(
        network(),
        "onnx",
        result,
        seconds=600,
        gigabytes=16,
        work=import_module("working").find,
    )
    assert found == {"fp32": {"parity": 0.0}}
    assert json.loads(result.read_text()) == found
    assert (tmp_path / "onnx.log").read_text() == "said by a converter\n"


@pytest.mark.parametrize(
    ("stage", "change", "expected"),
    [
        ("export", {}, True),
        ("export", {"limits": {"seconds": 9}}, True),
        ("time", {}, True),
        ("time", {"limits": {"seconds": 9}}, False),
        ("crash", {"limits": {"seconds": 9}}, False),
        ("export", {"facts": {"torch": "3"}}, False),
        ("export", {"network": "another"}, False),
    ],
)
def test_what_is_kept_is_taken_where_it_would_be_found_again(
    module, tmp_path, stage, change, expected
):
    stamp = {"network": "one", "facts": {"torch": "2"}, "limits": {"seconds": 1}}
    result = tmp_path / "onnx.json"
    is_kept = module("running").is_kept
    assert not is_kept(result, stamp)
    result.write_text(json.dumps({"fp32": {"stage": stage}}))
    assert not is_kept(result, stamp)
    result.with_suffix(".stamp").write_text(json.dumps(stamp))
    assert is_kept(result, stamp | change) is expected


def test_branches_that_are_quiet_begin_at_a_tenth(module):
    checkpoint = module("checkpoint")
    tiny = module("networks").Network(
        name="Tiny ResNet",
        factory="ResNetForImageClassification",
        use="classify",
        config={"depths": [1], "hidden_sizes": [8], "embedding_size": 8, "layer_type": "basic"},
        size=(16, 16),
        of="nobody",
    )
    quiet = replace(tiny, quiet=("layer.1.normalization",))
    loud, soft = (checkpoint._make(one).state_dict() for one in (tiny, quiet))
    changed = {
        name for name in loud if name.endswith("weight") and not torch.equal(loud[name], soft[name])
    }
    (name,) = changed
    assert name.endswith("layer.1.normalization.weight")
    torch.testing.assert_close(soft[name], loud[name] * 0.1)


def test_the_table_counts_what_is_in_all_formats_and_names_failures(module, network):
    made = {"parity": 2e-6, "size_mb": 4.41, "latency_ms": 5.678}
    fault = {"stage": "export", "operator": "aten.hypot", "reason": "no form", "road": "a; b"}
    whole = {"parameters": 1_080_000, "fp32": made, "int8": made}
    rows = [
        (network(), {"onnx": whole, "tflite": {"parameters": 1, "fp32": made, "int8": fault}}),
        (network(), {"onnx": whole, "tflite": {"fp32": fault}}),
    ]
    facts = {"machine": {"cpus": "2"}, "libraries": {"torch": "2"}}
    lines = module("table").markdown(rows, facts, ["onnx", "tflite"]).splitlines()
    head = "**1 of 2 networks are in onnx and tflite in float, 0 in int8.**"
    assert head in lines
    cell = "2e-06, 4.4 MB, 5.68 ms"
    start = f"| Tiny ViT | classify | 16×16 | nobody | 1.1 | {cell} | {cell} |"
    assert f"{start} {cell} | **export** aten.hypot |" in lines
    assert f"{start} **export** aten.hypot |  |" in lines
    failure = "export, `aten.hypot`: no form (tried: a; b)"
    assert f"- Tiny ViT, tflite, int8: {failure}" in lines
    assert f"- Tiny ViT, tflite, float: {failure}" in lines
    assert not any(line.startswith("Listed there") for line in lines)


def test_what_is_not_known_in_every_format_is_named_and_not_counted(module, network):
    made = {"parity": 2e-6, "size_mb": 4.41, "latency_ms": 5.678}
    whole = {"parameters": 1_080_000, "fp32": made, "int8": made}
    rows = [(network(), {"onnx": whole, "tflite": whole}), (network(), {"onnx": whole})]
    facts = {"machine": {"cpus": "2"}, "libraries": {"torch": "2"}}
    lines = module("table").markdown(rows, facts, ["onnx", "tflite"]).splitlines()
    assert "**1 of 1 networks are in onnx and tflite in float, 1 in int8.**" in lines
    assert "Listed there and not converted here: Tiny ViT." in lines


def test_every_network_has_a_name_and_a_use_of_its_own_configuration(module):
    networks = module("networks").NETWORKS
    keys = [network.key for network in networks]
    assert len(keys) >= 36
    assert len({*keys}) == len(keys)


def test_the_readme_says_what_the_table_says():
    root = TOOLS.parent
    table = (root / "tools" / "coverage.md").read_text()
    summary = next(line for line in table.splitlines() if line.startswith("**")).strip("*.")
    assert summary in " ".join((root / "README.md").read_text().split())


def test_an_unknown_network_is_refused():
    command = [sys.executable, TOOLS / "coverage", "vitt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "coverage: error: NAME: must be one of vit, deit, "
    )
    assert done.stderr.splitlines()[-1].endswith(", got 'vitt'")
