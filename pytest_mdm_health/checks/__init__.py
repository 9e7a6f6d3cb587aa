"""One module per issue of the guide; `registry` finds them here."""
