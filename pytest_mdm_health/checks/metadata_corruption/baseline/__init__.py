"""The registration compared with the baseline: `absence` where it is missing, `fields` where it is not."""
