"""What each stage costs, beside its peers or its limits. `make bench` runs them all."""
