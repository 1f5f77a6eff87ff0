"""Signals come to the stack that they came to before OpenVINO was loaded."""

import subprocess
import sys

START = """
import ctypes, os, signal, threading

class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def stack():
    found = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.address, found.size

came = []
signal.signal(signal.SIGUSR1, lambda *_: came.append(1))
"""
NETWORK = """
import numpy as np
import openvino
from openvino import opset13 as op
given = op.parameter([1, 4], np.float32, "x")
network = openvino.Model([op.relu(given)], [given], "relu")
"""
BARE = f"""{START}{NETWORK}
core = openvino.Core()
core.compile_model(network, "CPU")
print(stack() == (None, 0))
"""
OURS = f"""{START}{NETWORK}
from edgeprep.interfaces import Model
from edgeprep_openvino import OpenVINOBackend
openvino.save_model(network, "relu.xml")
files = {{f"model.{{end}}": open(f"relu.{{end}}", "rb").read() for end in ("xml", "bin")}}
def use():
    backend = OpenVINOBackend()
    device = backend.devices()[0]
    options = backend.options(device, "fp32")[0]
    runner = backend.load(Model(format="openvino", files=files), device, options)
    runner.run((np.ones((1, 4), np.float32),))
    return [backend, runner]
held = use()
print(stack() == (None, 0))
held[1].close()
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGUSR1)
print(came)
"""


def run(program, folder):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_openvino_alone_takes_the_stack_of_signals(tmp_path):
    """Where this fails, OpenVINO has mended it, and what is written around it can go."""
    assert run(BARE, tmp_path) == ["False"]


def test_a_backend_leaves_it_and_a_signal_after_it_is_taken(tmp_path):
    assert run(OURS, tmp_path) == ["True", "[1]"]
