"""From PyTorch's modules to an ONNX graph in the precision that is asked for."""
