"""One cell, or two, from the inside: step by step, word by word."""
