"""Programs beside the toolkit, to run from a clone."""
