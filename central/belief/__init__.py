"""How sure the books are of each bin, and what that makes worth counting."""
