"""The bundled mini benchmark: source texts, drawing script, and the data made from them."""
