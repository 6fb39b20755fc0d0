"""What a New Era pump speaks, and the program that it executes."""
