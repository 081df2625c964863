"""The limit on descriptors, in a process of its own."""

import subprocess
import sys

CODE = """
import resource
from service.system.descriptors import highest_for_clients, raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], highest_for_clients())
"""


def limits(soft: int, hard: int) -> tuple[int, int]:
    code = CODE.format(soft=soft, hard=hard)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    raised, highest = map(int, answer.stdout.split())
    return raised, highest


def test_the_limit_is_raised_as_far_as_the_system_lets_it() -> None:
    for soft, hard in ((256, 256), (200, 300)):
        raised, highest = limits(soft, hard)
        assert raised == hard
        # Room below for all else that a process opens.
        assert hard // 2 < highest < hard - 32
