"""What features are like compared with the baseline: `values` collects it, `changes` judges it."""
