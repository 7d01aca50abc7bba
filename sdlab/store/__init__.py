"""Pictures that carry their recipes, the index over them, their inputs, and what people said of them."""
