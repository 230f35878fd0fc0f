"""Papers of the part *The geometry of features*."""
