"""Fit the bidirectional LSTM on labelled reviews with PyTorch.

>>> import trainer
>>> result = trainer.train("reviews/", output="artifacts/checkpoint", recipe="small", epochs=2)

The main path is `trainer.run.train.carry_out`: data → vocabulary → epochs → best checkpoint.
"""

from trainer.api import Trained, advice, load, resume, train
from trainer.settings.recipe import RECIPES, Recipe

__all__ = ["RECIPES", "Recipe", "Trained", "advice", "load", "resume", "train"]
