"""The engines: the models' host processes, and the side of them that calls see.

Nothing is imported here: each host process shall load the library of its own engine and no other.
"""
