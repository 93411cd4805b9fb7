"""Drives the simulator with boto3 through the calls that a publication makes.

Reads from the environment: CONTRACT_ENDPOINT, and CONTRACT_KEYS, a JSON object
{account id: {"id": …, "secret": …}}; CONTRACT_PUBLISHER, CONTRACT_MANAGEMENT and
CONTRACT_MEMBER name accounts in it. Prints a line of JSON for every test:
{"test": name, "error": text or null}. The tests build on each other, in order.
"""

import json
import traceback

import building
import checker
import harness
import identity
import images
import keys


def main():
    for module in (checker, identity, keys, building, images):
        for name, test in list(vars(module).items()):
            if name.startswith("test_"):
                print(json.dumps({"test": name.removeprefix("test_"), "error": run(test)}), flush=True)


def run(test):
    harness.found_violations.clear()
    error = None
    try:
        test()
    except Exception:
        error = traceback.format_exc(limit=-4)
    if harness.found_violations:
        lines = "\n".join(dict.fromkeys(harness.found_violations))
        error = (error or "") + "answers that AWS's model does not know:\n" + lines
    return error


if __name__ == "__main__":
    main()
