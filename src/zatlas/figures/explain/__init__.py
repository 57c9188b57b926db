"""The drawings of `zatlas.explain`."""
