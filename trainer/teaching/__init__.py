"""Soft labels: the probabilities of a column, a linear model or networks are what is learned."""
