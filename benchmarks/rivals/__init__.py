"""What people would use instead, each as a whole command: Parquet in, Parquet out."""
