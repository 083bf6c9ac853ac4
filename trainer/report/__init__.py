"""What came of a run, to look at: analysis, charts, one HTML page."""
