"""What is trained: actors, chain, distance, parameters, noise and state, without an algorithm or a framework."""
