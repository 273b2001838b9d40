"""Units, statistics and other pure computation. Imports only `errors` from the project."""
