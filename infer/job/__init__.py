"""A scoring job: plan, score window by window, keep parts, write and commit the outputs."""
