"""The core imports nothing that does I/O, tells the time, draws randomness, starts threads or logs.

Read from the syntax tree, so that a word in a comment does not count and an import inside a function does.
"""

import ast

import pytest

FORBIDDEN_MODULES = {
    "_socket", "_thread", "anyio", "asyncio", "concurrent", "curio", "http", "logging", "multiprocessing", "random",
    "sched", "secrets", "select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading",
    "time", "trio", "twisted", "urllib", "uuid", "warnings",
}  # fmt: skip
# Modules that may be imported for other things, but not for these.
FORBIDDEN_MEMBERS = {
    ("os", "urandom"), ("os", "getrandom"), ("os", "times"),
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("AESGCM", "generate_key"), ("ChaCha20Poly1305", "generate_key"),
    ("X25519PrivateKey", "generate"), ("Ed25519PrivateKey", "generate"),
    ("ec", "generate_private_key"), ("rsa", "generate_private_key"), ("x509", "random_serial_number"),
    ("os", "environ"), ("os", "getenv"),
}  # fmt: skip
FORBIDDEN_CALLS = {"open", "print", "input", "breakpoint", "exec", "eval", "__import__"}


def find_offences(tree):
    """Every (line, what) in a syntax tree that a pure core must not hold."""
    offences = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            offences += [(node.lineno, alias.name) for alias in node.names if is_forbidden_module(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if is_forbidden_module(node.module):
                offences.append((node.lineno, node.module))
            last = node.module.rpartition(".")[2]
            for alias in node.names:
                if (last, alias.name) in FORBIDDEN_MEMBERS:
                    offences.append((node.lineno, f"{last}.{alias.name}"))
        elif isinstance(node, ast.Attribute) and (name_of(node.value), node.attr) in FORBIDDEN_MEMBERS:
            offences.append((node.lineno, f"{name_of(node.value)}.{node.attr}"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            offences.append((node.lineno, f"{node.func.id}()"))
        elif isinstance(node, ast.ExceptHandler) and is_catch_all(node):
            offences.append((node.lineno, "except Exception"))
    return offences


def is_forbidden_module(name):
    return name.partition(".")[0] in FORBIDDEN_MODULES


def name_of(node):
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def is_catch_all(handler):
    if handler.type is None:
        return True
    return isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")


def test_core_has_no_io_clock_randomness_threads_or_logging(core_trees):
    offences = [f"{path}:{line}: {what}" for path, tree in core_trees for line, what in find_offences(tree)]
    assert offences == []


def test_core_was_found(core_trees):
    assert len(core_trees) > 40


@pytest.mark.parametrize(
    "code",
    [
        "import socket",
        "import asyncio.events",
        "from time import monotonic",
        "def f():\n    import random",
        "import os\nkey = os.urandom(16)",
        "from os import urandom",
        "import datetime\nnow = datetime.datetime.now()",
        "from datetime import datetime\nnow = datetime.utcnow()",
        "import uuid",
        "import logging",
        "from cryptography.hazmat.primitives.asymmetric import ec\nkey = ec.generate_private_key(ec.SECP256R1())",
        "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey as K\n"
        "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey\nX25519PrivateKey.generate()",
        "print('x')",
        "open('/etc/passwd')",
        "try:\n    pass\nexcept Exception:\n    pass",
    ],
)
def test_the_check_can_fail(code):
    assert find_offences(ast.parse(code)) != []


@pytest.mark.parametrize("code", ["# import socket", "'import time'", "import hashlib, hmac, struct", "import os.path"])
def test_the_check_lets_innocent_code_pass(code):
    assert find_offences(ast.parse(code)) == []
