"""A run and its neighbours in time: baseline, verdicts, waivers, expectations."""
