"""Score reviews with an exported sentiment model, without torch.

The main path is `infer.job.scoring.score_files`: read → encode → batch → run → write.
"""

__version__ = "0.1.0"
