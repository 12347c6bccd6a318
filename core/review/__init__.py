"""Reviews and the definition of done."""
