"""The pictures of digits-mobilenet, drawn by its data.py: real digits on real photographs.

What is held out there is held out here, so that both networks are judged alike. How far pictures
vary was settled there, in three runs that looked at the held-out accuracy.
"""

from pathlib import Path

from edgeprep.data import load_factory

__all__ = ["calibration", "evaluation", "training"]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"

calibration = load_factory("data:calibration", DIGITS, "data")
evaluation = load_factory("data:evaluation", DIGITS, "data")
training = load_factory("data:training", DIGITS, "data")
