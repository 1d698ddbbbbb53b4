"""Frostline beside what people use: the same work on the same images, one session, everything counted."""
