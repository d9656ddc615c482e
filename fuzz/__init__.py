"""Coverage-guided fuzzing: one target a file below `targets`, each with its corpus, which pytest replays.

python -m fuzz TARGET --minutes 10   needs atheris (the extra `fuzz`); docs/fuzzing.md has the whole of it
"""
