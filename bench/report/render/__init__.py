"""Renderers: documents as markdown, terminal text, HTML, JSON and CSV. Escaping happens only here."""
