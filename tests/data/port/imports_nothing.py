import no_such_package
import torch


def make():
    return no_such_package.model(torch)
