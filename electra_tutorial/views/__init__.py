"""Pictures: for each a static one (matplotlib, HTML) and, where there is one, the widget around it."""
