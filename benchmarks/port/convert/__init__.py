"""A program's network as plain code of another framework, a file a framework with the same names.

No framework is imported: a listing goes in, text comes out.
"""
