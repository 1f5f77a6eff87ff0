import sys
from threading import Barrier, Thread

import pytest

from edgeprep.errors import PluginError, UnknownName
from edgeprep.registry import PluginRecord, Registry

COUNTED = """
import builtins
builtins.imports += 1
@hookimpl
def edgeprep_stages():
    return [Fine]
"""
ASKS_BACK = """
from edgeprep.registry import default_registry
seen = [cls.name for cls in sys.modules["builtins"].registry.classes("stage")]
@hookimpl
def edgeprep_stages():
    return [Fine]
"""


def states(registry, *names):
    return [(r.name, r.state) for r in registry.plugins() if r.name in names]


def reasons(registry, name):
    return [record.reason for record in registry.plugins() if record.name == name]


def test_looking_up_a_built_in_imports_no_plugin(install):
    install("never_imported")
    assert Registry().get("stage", "resize").name == "resize"
    assert "never_imported" not in sys.modules


def test_names_are_listed_without_importing(install):
    install("never_imported")
    registry = Registry(allow=["never_imported"])
    records = [record for record in registry.plugins(load=False) if record.state != "disabled"]
    assert records == [
        PluginRecord(
            name="never_imported",
            distribution="never-imported",
            version="1.5",
            state="not loaded",
        )
    ]
    assert "never_imported" not in sys.modules


def test_a_missing_name_makes_plugins_load(install):
    install("late_plugin")
    cls = Registry(allow=["late_plugin"]).get("stage", "late-plugin")
    assert (cls.__module__, cls.name) == ("late_plugin", "late-plugin")


def test_nothing_installed_is_seen_by_a_registry_that_must_not_look(install):
    install("good_plugin")
    registry = Registry(installed=False)
    assert {record.distribution for record in registry.plugins()} == {"edgeprep"}
    with pytest.raises(UnknownName, match=r"^unknown stage 'good-plugin'; known here: 'resize', "):
        registry.get("stage", "good-plugin")


def test_a_plugin_is_disabled_by_its_name_or_its_distribution(install, monkeypatch):
    install("first_plugin")
    install("second_plugin", distribution="acme-second")
    install("third_plugin")
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", "first_plugin, acme-second,")
    registry = Registry()
    assert states(registry, "first_plugin", "second_plugin", "third_plugin") == [
        ("first_plugin", "disabled"),
        ("second_plugin", "disabled"),
        ("third_plugin", "ok"),
    ]
    assert reasons(registry, "first_plugin") == ["named in EDGEPREP_DISABLE_PLUGINS"]
    assert "first_plugin" not in sys.modules


def test_a_disabled_name_that_no_plugin_has_is_told_once_and_disables_nothing(
    install, monkeypatch, caplog
):
    install("first_plugin")
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", "frist_plugin")
    registry = Registry(allow=["first_plugin"])
    assert registry.get("stage", "resize").name == "resize"
    assert caplog.messages == []
    for _ in range(2):
        assert states(registry, "first_plugin") == [("first_plugin", "ok")]
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("edgeprep", "WARNING")
    ]
    rule = "EDGEPREP_DISABLE_PLUGINS: must name plugins that are installed"
    assert caplog.messages == [f"{rule}, got 'frist_plugin'; did you mean 'first_plugin'?"]


def test_a_disabled_name_that_is_installed_is_not_told_of(install, monkeypatch, caplog):
    install("first_plugin", distribution="acme-first")
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", "First.Plugin,acme_first")
    assert states(Registry(), "first_plugin") == [("first_plugin", "disabled")]
    assert caplog.messages == []


def test_only_plugins_on_the_allow_list_of_the_environment_load(install, monkeypatch):
    install("first_plugin")
    install("second_plugin")
    monkeypatch.setenv("EDGEPREP_PLUGINS", "second_plugin")
    registry = Registry()
    assert [record.name for record in registry.plugins() if record.state == "ok"] == [
        "edgeprep.stages",
        "edgeprep.compress",
        "edgeprep.tasks",
        "second_plugin",
    ]
    assert reasons(registry, "first_plugin") == ["not on the list of allowed plugins"]


@pytest.mark.parametrize("name", ["First_Plugin", "first.plugin", "FIRST-plugin"])
def test_names_of_plugins_are_compared_as_pip_does(install, monkeypatch, name):
    install("first_plugin")
    assert states(Registry(allow=[name]), "first_plugin") == [("first_plugin", "ok")]
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", name)
    assert states(Registry(), "first_plugin") == [("first_plugin", "disabled")]


def test_one_name_is_no_list_of_names():
    rule = r"^plugins: must be a list of names, got 'onnx'; write \['onnx'\]$"
    with pytest.raises(PluginError, match=rule):
        Registry(allow="onnx")


def test_an_empty_allow_list_allows_nothing(install, monkeypatch):
    install("first_plugin")
    monkeypatch.setenv("EDGEPREP_PLUGINS", "")
    assert states(Registry(), "first_plugin") == [("first_plugin", "disabled")]


def test_a_missing_name_says_that_a_plugin_called_alike_is_disabled(install):
    install("acme")
    with pytest.raises(UnknownName) as caught:  # noqa: PT011 -- the whole message is compared
        Registry(allow=[], builtin=False).get("backend", "acme-gpu")
    assert str(caught.value) == (
        "unknown backend 'acme-gpu'; known here: nothing; "
        "plugin 'acme' is disabled: not on the list of allowed plugins"
    )


def test_two_distributions_with_one_plugin_name_are_both_left_out(install):
    install("ours", entry="shared", distribution="acme-ours")
    install("theirs", entry="shared", distribution="acme-theirs")
    registry = Registry(allow=["shared"])
    reason = (
        "the name 'shared' must belong to one distribution, got acme-ours 1.5 and "
        "acme-theirs 1.5; uninstall one, or name it in EDGEPREP_DISABLE_PLUGINS"
    )
    assert states(registry, "shared") == [("shared", "broken")] * 2
    assert reasons(registry, "shared") == [reason, reason]
    assert {"ours", "theirs"}.isdisjoint(sys.modules)


def test_disabling_one_of_two_distributions_chooses_the_other(install, monkeypatch):
    install("ours", entry="shared", distribution="acme-ours")
    install("theirs", entry="shared", distribution="acme-theirs")
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", "acme-theirs")
    assert Registry(allow=["shared"]).get("stage", "ours").__module__ == "ours"


def test_a_distribution_that_is_on_the_path_twice_counts_once(install, tmp_path, monkeypatch):
    install("good_plugin", distribution="good-plugin")
    twice = tmp_path / "earlier" / "Good.Plugin-0.9.dist-info"
    twice.mkdir(parents=True)
    (twice / "METADATA").write_text("Metadata-Version: 2.1\nName: Good.Plugin\nVersion: 0.9\n")
    (twice / "entry_points.txt").write_text("[edgeprep]\ngood_plugin = good_plugin\n")
    monkeypatch.syspath_prepend(tmp_path / "earlier")
    [record] = [record for record in Registry().plugins() if record.name == "good_plugin"]
    assert (record.state, record.version) == ("ok", "0.9")


def test_a_damaged_distribution_does_not_hide_the_others(install, tmp_path):
    install("good_plugin")
    damaged = tmp_path / "damaged-1.0.dist-info"
    damaged.mkdir()
    (damaged / "entry_points.txt").write_bytes(b"[edgeprep\n\xff\xfe=")
    assert states(Registry(allow=["good_plugin"]), "good_plugin") == [("good_plugin", "ok")]


def test_the_newcomer_loses_a_name_that_another_plugin_offers(install):
    body = "Fine.name = 'same'\n@hookimpl\ndef edgeprep_stages():\n    return [Fine]"
    install("a_first", body)
    install("b_second", body)
    registry = Registry(allow=["a_first", "b_second"])
    assert registry.get("stage", "same").__module__ == "a_first"
    assert reasons(registry, "b_second") == [
        "must offer names that are free, got stage 'same@1', which 'a_first' offers"
    ]


def test_threads_that_ask_at_once_import_a_plugin_once(install, monkeypatch):
    install("counted_plugin", COUNTED)
    monkeypatch.setattr("builtins.imports", 0, raising=False)
    registry = Registry(allow=["counted_plugin"])
    barrier, found = Barrier(16), []

    def ask():
        barrier.wait()
        found.append(registry.get("stage", "counted-plugin"))

    threads = [Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert sys.modules["builtins"].imports == 1


def test_a_plugin_that_asks_the_registry_while_it_loads_sees_what_came_before(install, monkeypatch):
    install("asks_back", ASKS_BACK)
    registry = Registry(allow=["asks_back"])
    monkeypatch.setattr("builtins.registry", registry, raising=False)
    assert registry.get("stage", "asks-back").name == "asks-back"
    seen = sys.modules["asks_back"].seen
    assert seen[0] == "resize"
    assert "asks-back" not in seen
