"""The code that states a recipe's learning rates, as text, a file a framework.

`steps_per_epoch` is the number of batches. `optimizer` is there already in Keras and PyTorch; in
optax `rate` is what the optimizer is made with, in place of the number.
"""
