"""Which rows to label next, and the file in which a person does it."""
