"""Partition Studio's agent: the one process that runs stages of a network on a device."""

import os

__version__ = "0.1.0"

# ONNX Runtime's Linux packages send usage events unless told otherwise before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
