"""Parts for zatlas from outside."""
