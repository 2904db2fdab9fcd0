"""How much will be wanted, per article and day."""
