"""Tests on Vulkan in software; tools/test-gpu runs them, once with a driver that works."""

import os

# "new": the driver is one that LiteRT accepts. "old": one that is listed, and cannot run.
DRIVER = os.environ.get("EDGEPREP_TEST_GPU")
# Elsewhere they are not even collected: a machine has a GPU or has none.
collect_ignore_glob = [
    name
    for driver, name in {"new": "test_gpu_*.py", "old": "test_broken_gpu.py"}.items()
    if driver != DRIVER
]
