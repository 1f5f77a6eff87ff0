"""What the flags of a processor mean for integers."""

import pytest

from edgeprep.processor import sums_saturate


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
