"""How hypothesis searches: the same examples every time, so that a failure is the change's and not the day's.

`HYPOTHESIS_PROFILE=search pytest tests/properties` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine is no failure
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
