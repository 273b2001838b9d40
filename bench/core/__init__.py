"""Units, statistics and other pure computation. Imports nothing of the project but `errors`."""
