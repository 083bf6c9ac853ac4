"""Does the exported graph agree with PyTorch: references, comparisons, the certificate."""
