"""Sentences of the documents as an answer: which, and how they read."""
