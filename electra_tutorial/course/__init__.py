"""What makes the package a course: weaving lessons, preflight, starting JupyterLab. Students need not read it."""
