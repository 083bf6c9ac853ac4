"""The model file's contract, the models that come along, and ONNX Runtime on a device."""
