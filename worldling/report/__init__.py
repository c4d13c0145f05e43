"""Pages: sections of text, tables and figures, laid out as one HTML file without outside references."""
