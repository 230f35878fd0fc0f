"""Models, and many of them trained side by side."""
