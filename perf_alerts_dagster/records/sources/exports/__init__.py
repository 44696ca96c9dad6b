"""Exports of other tools: four shapes, and the files of tools that are none of them."""
