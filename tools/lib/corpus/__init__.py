"""Makes sagad jobs out of documentation pages; tools/make-corpus runs it."""
