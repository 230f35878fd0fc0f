"""Papers of the part *Weights: small, sparse, low rank*."""
