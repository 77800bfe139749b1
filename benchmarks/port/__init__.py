"""Two programs of the user's own: do they train the same, and if not, where do they part?"""
