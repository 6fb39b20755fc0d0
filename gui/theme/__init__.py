"""How the window looks: the tokens, the one style sheet that is made of them, the font and the icons."""
