"""Turn a checkpoint into a model file that agrees with PyTorch, or into nothing.

The main path is `exporter.export.export_model`: checkpoint → graph → parity → model file.
"""
