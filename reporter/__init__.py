"""Show people what was scored: one page of figures, and rows to label next."""
