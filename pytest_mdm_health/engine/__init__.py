"""From a plan to results: registry, plan, runner and the sandbox."""
