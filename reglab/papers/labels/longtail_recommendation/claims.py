"""x"""
from __future__ import annotations
EXAM = 1000
CLAIMS = ()
