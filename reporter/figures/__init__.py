"""From rows of scores to the figures of a report: counted by DuckDB in one pass, JSON-ready."""
