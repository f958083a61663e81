"""What an answer rests on: statements, marks, quotes, and how well they bear it out."""
