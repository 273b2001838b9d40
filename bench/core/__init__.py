"""Units, statistics and other pure computation."""
