"""Turn a checkpoint into a model file that agrees with PyTorch, or into nothing.

>>> import exporter
>>> exporter.export("artifacts/checkpoint", "artifacts/model.onnx", precision="fp16")

The main path is `exporter.pipeline.export_model`: checkpoint → graph → parity → model file.
"""

from exporter.api import check, export
from exporter.request import Exported, Network, ParityFailedError

__all__ = ["Exported", "Network", "ParityFailedError", "check", "export"]
