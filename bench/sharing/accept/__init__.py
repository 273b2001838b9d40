"""`bench accept`: what is checked of a bundle that somebody sent before it counts."""
