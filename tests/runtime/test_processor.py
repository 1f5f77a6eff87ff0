"""What the flags of a processor mean for integers, and how many CPUs there are."""

import os

import pytest

from edgeprep.processor import available_cpus, sums_saturate


def test_cpus_that_this_process_may_not_use_do_not_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert available_cpus() == 3


@pytest.mark.parametrize(("known", "expected"), [(6, 6), (None, 1)])
def test_where_the_system_does_not_say_so_all_cpus_count(monkeypatch, known, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    assert available_cpus() == expected


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        pytest.param("x86_64", "sse4_2 avx2 fma", True, id="avx2"),
        pytest.param("x86_64", "avx2 avx512f avx512_vnni", False, id="avx512 vnni"),
        pytest.param("AMD64", "avx2 avx_vnni", False, id="avx vnni"),
        pytest.param("x86_64", "avx2 not_avx_vnni", True, id="a longer name"),
        pytest.param("x86_64", None, True, id="unknown"),
        pytest.param("aarch64", "asimd", False, id="arm"),
    ],
)
def test_sums_of_int8_products_saturate_on_x86_without_vnni(
    monkeypatch, tmp_path, machine, flags, expected
):
    monkeypatch.setattr("platform.machine", lambda: machine)
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"model name : any\nflags : {flags}\nbogomips : 1\n")
    assert sums_saturate(cpuinfo) is expected
