"""Recorded results: computed over a grid of settings, kept small, checked."""
