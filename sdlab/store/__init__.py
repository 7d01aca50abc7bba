"""Pictures that carry their recipes, the index over them, their inputs, and opinions of them."""
