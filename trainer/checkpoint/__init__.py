"""The folder that training leaves, written whole and read with its faults named."""
