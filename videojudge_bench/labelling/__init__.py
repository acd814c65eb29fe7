"""Labels by people: which answers to ask for, a page to rate them on, and how many are needed."""
