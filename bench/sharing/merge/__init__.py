"""`bench merge`: the results of several machines as one folder, each record once, as the line that it was."""
