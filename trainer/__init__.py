"""Fit the bidirectional LSTM on labelled reviews with PyTorch.

The main path is `trainer.run.train.train`: data → vocabulary → epochs → best checkpoint.
"""
