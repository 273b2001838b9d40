"""The diffusers docs' own tables: rendering and reading their two dialects, byte for byte."""
