"""What every report's page stands in: policy, styles, words for numbers, the style of drawings."""
