"""What is hidden in a picture's pixels and said in its file."""
