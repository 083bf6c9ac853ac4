"""Fit the bidirectional LSTM on labelled reviews with PyTorch.

The main path is `trainer.train.train`: data → vocabulary → epochs → best checkpoint.
"""
