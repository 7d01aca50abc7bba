"""Pictures that other programs made: what their files say, in our words, one file a program."""
