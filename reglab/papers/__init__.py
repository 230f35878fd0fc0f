"""The papers, one module each, by part."""
