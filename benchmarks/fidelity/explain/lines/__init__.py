"""The code that makes a framework do what the specification says, as text, a file a framework.

The files have the same functions. A variable is named as its layer; `x` is the input of a layer,
`optimizer` the optimizer, `model` the network. A test runs every line.
"""
