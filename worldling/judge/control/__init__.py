"""The control suite: does the predicted future follow its actions?"""
