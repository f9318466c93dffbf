"""Texts of the field, in and out, as values.  No I/O."""
