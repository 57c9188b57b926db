"""From image files to pixels: listed, looked at, decoded on all cores, kept. Nothing here imports torch."""
