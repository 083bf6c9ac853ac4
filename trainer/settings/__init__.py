"""What a run is asked for: the recipe and the request."""
