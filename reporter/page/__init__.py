"""The page of a report on scores: its drawings, and the template that it fills."""
