"""What the use cases need from the outside, as protocols; the adapters' rooms provide them.

One file per feature, named as in every other layer.
"""
