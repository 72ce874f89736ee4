"""Runs the cases of this folder against endpoints that speak AWS, by boto3, and prints a line of JSON for each.

    runner.py NAME=URL... -- FILE...

A file is a list of cases of one service; see README.md for the format. A case has an account of its own where the endpoint takes
account numbers as access keys, and names that no other case has.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys
import time
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import yaml

OURS = "iibake"  # the endpoint whose clock can be moved
REGION = "eu-west-1"


class Mismatch(Exception):
    """What an endpoint answered is not what the case wants."""


def client(service, url, account, region=REGION):
    """A client that neither checks parameters nor tries again: the service shall do the first, and the case sees every answer."""
    config = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=30,
                                    inject_host_prefix=False)
    return boto3.client(service, endpoint_url=url, region_name=region, config=config,
                        aws_access_key_id=account, aws_secret_access_key="local")


def plain(value):
    """What a parsed answer looks like in JSON: a body is its length and digest."""
    if hasattr(value, "read"):
        data = value.read()
        return {"length": len(data), "sha256": base64.b64encode(hashlib.sha256(data).digest()).decode()}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def matches(got, want):
    """Whether a value is the one that is wanted; ~ begins a pattern to be found in it."""
    if isinstance(want, str) and want.startswith("~"):
        return got is not None and re.search(want[1:], str(got)) is not None
    return got == want


def lookup(answer, path):
    """The value at a path such as Images.0.Tags, or None where it is absent; "Images.#" is a length."""
    for part in path.split("."):
        if part == "#":
            return len(answer) if answer is not None else None
        if isinstance(answer, list):
            answer = answer[int(part)] if int(part) < len(answer) else None
        elif isinstance(answer, dict):
            answer = answer.get(part)
        else:
            return None
    return answer


class Run:
    """One case against one endpoint."""

    def __init__(self, case, service, name, url, number):
        self.case, self.service, self.name, self.url = case, service, name, url
        self.account = f"{700000000000 + number}"
        self.values = {"unique": f"case{number}", "account": self.account, "region": REGION}
        self.clients = {}

    def expand(self, value):
        """Puts saved values in the place of ${name}, and bytes in the place of {bytes: N, fill: x}."""
        if isinstance(value, str):
            whole = re.fullmatch(r"\$\{([\w.]+)\}", value)
            if whole:
                return self.values[whole[1]]
            return re.sub(r"\$\{([\w.]+)\}", lambda m: str(self.values[m[1]]), value)
        if isinstance(value, dict):
            if set(value) == {"bytes", "fill"}:
                return value["fill"].encode() * value["bytes"]
            if set(value) == {"sha256"}:
                return base64.b64encode(hashlib.sha256(self.expand(value["sha256"])).digest()).decode()
            return {k: self.expand(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.expand(v) for v in value]
        return value

    def client(self, step):
        key = step.get("service", self.service), str(self.expand(step.get("as", self.account))), step.get("region", REGION)
        if key not in self.clients:
            self.clients[key] = client(key[0], self.url, key[1], key[2])
        return self.clients[key]

    def call(self, step):
        """Makes the call of a step and returns (answer, error)."""
        c = self.client(step)
        method = boto3_method(c, step["call"])
        try:
            return plain(method(**self.expand(step.get("with", {})))), None
        except botocore.exceptions.ClientError as e:
            return None, {"status": e.response["ResponseMetadata"]["HTTPStatusCode"], "code": e.response["Error"].get("Code"),
                          "message": e.response["Error"].get("Message", ""), "reason": e.response.get("Reason")}
        except botocore.exceptions.BotoCoreError as e:
            return None, {"status": 0, "code": type(e).__name__, "message": str(e), "reason": None}

    def wait(self, seconds):
        if self.name == OURS:
            request = urllib.request.Request(f"{self.url}/_iibake/clock?advance={seconds}s", method="POST")
            urllib.request.urlopen(request, timeout=60).read()
        else:
            time.sleep(min(seconds, 2))  # their machines and snapshots are ready at once

    def step(self, step):
        if "advance" in step:
            return self.wait(step["advance"])
        for attempt in range(step.get("tries", 1)):  # what becomes true in time, every few seconds
            if attempt:
                self.wait(step.get("every", 5))
            answer, error = self.call(step)
            wrong = self.compare(step, answer, error)
            if not wrong:
                break
        if wrong:
            raise Mismatch(f"{step['call']}: {wrong}")
        for name, path in step.get("save", {}).items():
            self.values[name] = lookup(answer, path)
            if self.values[name] is None:
                raise Mismatch(f"{step['call']}: the answer has no {path}")

    def compare(self, step, answer, error):
        """What is wrong with an answer, or nothing."""
        want = self.expand(step.get("error"))
        if want is None and error:
            return f"got {error}, want an answer"
        if want is not None and not error:
            return f"got an answer, want {want}"
        if want is not None:
            return "" if all(matches(error[k], v) for k, v in want.items()) else f"got {error}, want {want}"
        for path, value in self.expand(step.get("want", {})).items():
            if not matches(got := lookup(answer, path), value):
                return f"{path} is {got!r}, want {value!r}"
        for path in step.get("absent", []):
            if (got := lookup(answer, path)) is not None:
                return f"{path} is {got!r}, want none"
        for path in step.get("present", []):
            if lookup(answer, path) is None:
                return f"{path} is absent"
        return ""

    def run(self):
        for step in self.case["steps"]:
            self.step(step)


def boto3_method(c, operation):
    names = {v: k for k, v in c.meta.method_to_api_mapping.items()}
    return getattr(c, names[operation])


def outcome(run):
    """Runs a case; the text of what went wrong, or nothing."""
    try:
        run.run()
    except Mismatch as e:
        return str(e)
    except Exception as e:  # an emulator that hangs up, or answers what no client understands
        return f"{type(e).__name__}: {e}"
    return ""


def main():
    split = sys.argv.index("--")
    endpoints = dict(arg.split("=", 1) for arg in sys.argv[1:split])
    number = 0
    for name in sys.argv[split + 1:]:
        file = yaml.safe_load(pathlib.Path(name).read_text())
        for case in file["cases"]:
            number += 1
            for endpoint, url in endpoints.items():
                wrong = outcome(Run(case, file["service"], endpoint, url, number))
                print(json.dumps({"file": pathlib.Path(name).stem, "case": case["name"], "endpoint": endpoint, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
