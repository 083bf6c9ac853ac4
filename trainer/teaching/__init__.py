"""Self-training: probabilities of teachers as labels of texts that have none."""
