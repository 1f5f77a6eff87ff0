"""The interpreters of `F`: numpy (the reference, and all a device needs), torch and ONNX."""
