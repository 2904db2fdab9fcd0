"""From barcodes to stock events: one scan session per device."""
