"""The site's files, from the folder that the configuration names."""

from __future__ import annotations

from pathlib import Path

from wire.site import FILES, Site, SiteError, parse_site


def read_site(directory: Path) -> Site:
    """Return the site in a folder of CSV files. Raises SiteError naming the file."""
    texts = {}
    for name in FILES:
        path = directory / name
        if not path.exists():
            continue
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SiteError(f"{path}: cannot be read as text: {error}") from error
    if not texts:
        raise SiteError(f"{directory}: no site files there; site_dir names the folder of bins.csv")
    return parse_site(texts)
