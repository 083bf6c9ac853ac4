"""Tables of reviews: which files, which column is the text, Parquet as streams."""
