"""Parts from outside, in a package of their own."""
