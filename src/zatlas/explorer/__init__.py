"""A latent space in the browser: the server behind the page, and the page in one file.

The page itself is built from ``frontend/`` into ``static/``; Node is needed only for that.
"""
