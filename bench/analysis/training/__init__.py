"""What training asks: how quickly a data set's latents are encoded. Pure."""
