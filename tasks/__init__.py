"""Tasks, suites, splits and evaluators: what is to be done."""
