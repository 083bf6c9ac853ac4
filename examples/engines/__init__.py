"""Scoring within Ray, Spark, DuckDB and Polars; each file is a program and short enough to copy."""
