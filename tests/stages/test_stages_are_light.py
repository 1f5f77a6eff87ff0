"""A device has numpy and one engine: stages import neither torch nor onnx."""

import subprocess
import sys

PROGRAM = """
import sys
from edgeprep.stages import chain, plugin
plugin.edgeprep_stages()
print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'onnx', 'PIL', 'cv2'}))
"""


def test_the_chain_and_every_stage_come_without_heavy_libraries():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
