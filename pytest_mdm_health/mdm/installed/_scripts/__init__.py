"""Scripts that run in MDM's own interpreter; copied to a private folder first."""
