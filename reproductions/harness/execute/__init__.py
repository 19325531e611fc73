"""One planned run becomes one record."""
