"""A run from data to checkpoint: the main path, its epochs, its state, going on."""
