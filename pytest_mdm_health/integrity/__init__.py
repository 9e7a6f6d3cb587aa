"""What the data itself looks like. The engine does the work; rows do not pass through Python."""
