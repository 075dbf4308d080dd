"""Settings that hold for every test; fixtures of one subject live in the folder of that subject."""

import os

import hypothesis

# A test must not reach a real account because its author happens to be logged in to one.
_OUTSIDE_WORLD = ("ANTHROPIC_", "CLOUDFLARE_", "CF_", "SLACK_", "PATENT_API_", "STEPWELL_")
for _name in [name for name in os.environ if name.startswith(_OUTSIDE_WORLD)]:
    # .ci/run finds what a test leaves running by this one; it configures nothing.
    if _name != "STEPWELL_CI_RUN":
        del os.environ[_name]

# Speed is judged in benchmarks/, not by how busy the machine was when an example ran.
hypothesis.settings.register_profile("desk", deadline=None, print_blob=True)
# In CI the same commit tries the same examples, so that a red run is about the commit.
hypothesis.settings.register_profile(
    "ci", parent=hypothesis.settings.get_profile("desk"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")
