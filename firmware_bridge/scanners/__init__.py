"""Drivers of barcode scanners."""
