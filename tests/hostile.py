"""Names that people and cameras do give, and that some program takes for more than a name."""

NAMES = (
    "turn one=1",
    " onload=1",
    r"$\frac{$",
    "<script>alert(1)</script>",
    "[red]x[/]",
    "_hidden",
    r"%s {0} \n",
    "\u202eright to left",
    "שלום\u200f",
    "cat 😀",
    "long " * 60,
    "bell\x07 \x1b[2J",
    "a,b",
    "rows:3",
    'xlink:href="#a" id="b" url(#c) #1a1d21',
)
