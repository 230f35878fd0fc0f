"""Papers of the part *Fine-tuning without forgetting*."""
