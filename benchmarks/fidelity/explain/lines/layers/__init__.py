"""The code that makes a layer, as text, a file a framework.

A layer is a call of what the framework names it (`CALLS`), with the fields that it takes by place
and by name. What a framework has no argument for stands before the call or after it.
"""
