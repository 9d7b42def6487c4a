# SPDX-License-Identifier: GPL-2.0-or-later
"""How Sphinx builds the manuals: `make docs`."""

project = "qemu-ebpf"
copyright = "the qemu-ebpf maintainers"
author = "the qemu-ebpf maintainers"

master_doc = "index"
language = "en"
html_theme = "alabaster"
html_show_sourcelink = False
html_theme_options = {
    "description": "A guest's packets, in the host's kernel",
    "page_width": "62em",
}

# An option such as --fd stays two hyphens, a quotation mark stays straight.
smartquotes = False
