"""Scoring within engines and MLflow; each file is a program and short enough to copy."""
