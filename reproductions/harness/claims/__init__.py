"""What is declared: claims, their questions, variants and scales."""
