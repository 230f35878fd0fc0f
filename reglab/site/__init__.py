"""The website: executed notebooks, their pages, and pictures that replay recorded results."""
