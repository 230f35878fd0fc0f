"""Scripts that measure: run by hand, or by `make benchmark`."""
