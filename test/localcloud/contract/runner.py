"""Runs the cases of this folder against endpoints that speak AWS, by boto3, and prints a line of JSON for each.

    runner.py NAME=URL... -- FILE...

A file is a list of cases of one service; README.md explains the format. A case has an account of its own where the endpoint takes
account numbers as access keys, and names that no other case has. Endpoints are asked side by side, one case after the other each.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys
import threading
import time
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.httpsession
import yaml

OURS = "iibake"  # the endpoint whose clock can be moved
REGION = "eu-west-1"
SIGNING = {"elbv2": "elasticloadbalancing", "cloudwatch": "monitoring"}  # names in signatures, where they are others


class Mismatch(Exception):
    """What an endpoint answered is not what the case wants, at length and, without what differs from run to run, in brief."""

    def __init__(self, text, brief):
        super().__init__(text)
        self.brief = brief


def client(session, service, url, account, region=REGION):
    """A client that neither checks parameters nor tries again: the service shall do the first, and the case sees every answer."""
    config = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=300,
                                    inject_host_prefix=False)
    return session.client(service, endpoint_url=url, region_name=region, config=config,
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

    def __init__(self, session, case, service, name, url, number):
        self.session, self.case, self.service, self.name, self.url = session, case, service, name, url
        self.account = f"{700000000000 + number}"
        self.values = {"unique": f"case{number}", "account": self.account, "region": REGION}
        self.clients = {}

    def expand(self, value):
        """Puts saved values in the place of ${name}, and bytes in the place of {bytes: N, fill: x}, text in that of {text: N, fill: x}."""
        if isinstance(value, str):
            whole = re.fullmatch(r"\$\{([\w.]+)\}", value)
            if whole:
                return self.values[whole[1]]
            return re.sub(r"\$\{([\w.]+)\}", lambda m: str(self.values[m[1]]), value)
        if isinstance(value, dict):
            if set(value) == {"bytes", "fill"}:
                return value["fill"].encode() * value["bytes"]
            if set(value) == {"text", "fill"}:
                return value["fill"] * value["text"]
            if set(value) == {"sha256"}:
                return base64.b64encode(hashlib.sha256(self.expand(value["sha256"])).digest()).decode()
            return {k: self.expand(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.expand(v) for v in value]
        return value

    def client(self, step):
        key = step.get("service", self.service), str(self.expand(step.get("as", self.account))), step.get("region", REGION)
        if key not in self.clients:
            self.clients[key] = client(self.session, key[0], self.url, key[1], key[2])
        return self.clients[key]

    def raw(self, step):
        """Sends a request as it stands, but for its signature, and returns (answer, None)."""
        request = self.expand(step["raw"])
        service, url = step.get("service", self.service), self.url + request.get("path", "/")
        signed = botocore.awsrequest.AWSRequest(request.get("method", "POST"), url, dict(request.get("headers", {})), request.get("body", "").encode())
        credentials = botocore.credentials.Credentials(str(step.get("as", self.account)), "local")
        if request.get("sign", True):
            botocore.auth.SigV4Auth(credentials, SIGNING.get(service, service), REGION).add_auth(signed)
        answer = botocore.httpsession.URLLib3Session(timeout=300).send(signed.prepare())
        return {"Status": answer.status_code, "Body": answer.content.decode(errors="replace"), "Type": answer.headers.get("x-amzn-errortype")}, None

    def call(self, step):
        """Makes the call of a step and returns (answer, error)."""
        if "raw" in step:
            return self.raw(step)
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
            time.sleep(0.2)  # their machines and snapshots are ready at once

    def step(self, step):
        if "advance" in step:
            return self.wait(step["advance"])
        tries = step.get("tries", 1)  # of what becomes true in time, every few seconds
        for attempt in range(tries if self.name == OURS else min(tries, 4)):
            if attempt:
                self.wait(step.get("every", 5))
            answer, error = self.call(step)
            wrong = self.compare(step, answer, error)
            if not wrong:
                break
        if wrong:
            raise Mismatch(f"{step.get('call', 'raw')}: {wrong[0]}", f"{step.get('call', 'raw')} {wrong[1]}")
        for name, path in step.get("save", {}).items():
            self.values[name] = lookup(answer, path)
            if self.values[name] is None:
                raise Mismatch(f"{step.get('call', 'raw')}: the answer has no {path}", f"{step.get('call', 'raw')} answers without {path}")

    def compare(self, step, answer, error):
        """What is wrong with an answer, at length and in brief, or nothing."""
        want = self.expand(step.get("error"))
        if error and want is None:
            return f"got {error}, want an answer", f"fails with {error['code']}"
        if want is not None:
            return compare_error(error, want, step["error"])
        return self.compare_answer(step, answer)

    def compare_answer(self, step, answer):
        for path, value in self.expand(step.get("want", {})).items():
            got = lookup(answer, path)
            if not matches(got, value):
                return f"{path} is {got!r}, want {value!r}", f"answers {'without' if got is None else 'another'} {path}"
        for path in step.get("absent", []):
            if (got := lookup(answer, path)) is not None:
                return f"{path} is {got!r}, want none", f"answers with {path}"
        for path in step.get("present", []):
            if lookup(answer, path) is None:
                return f"{path} is absent", f"answers without {path}"
        return None

    def run(self):
        for step in self.case["steps"]:
            self.step(step)


def boto3_method(c, operation):
    names = {v: k for k, v in c.meta.method_to_api_mapping.items()}
    return getattr(c, names[operation])


def compare_error(error, want, written):
    if not error:
        return f"got an answer, want {want}", f"answers instead of {written.get('code', 'an error')}"
    for member in ("code", "status", "message", "reason"):
        if member in want and not matches(error[member], want[member]):
            brief = f"fails with {error['code']}" if member == "code" else f"fails with another {member}"
            return f"got {error}, want {want}", brief
    return None


def outcome(run):
    """Runs a case; the text of what went wrong at length and in brief, or nothing."""
    try:
        run.run()
    except Mismatch as e:
        return str(e), e.brief
    except Exception as e:  # an endpoint that hangs up, or answers what no client understands
        return f"{type(e).__name__}: {e}", f"answers what boto3 does not understand ({type(e).__name__})"
    return "", ""


def run_all(endpoint, url, files, written):
    number, session = 0, boto3.Session()  # sessions are not for threads to share
    for name, file in files:
        for case in file["cases"]:
            number += 1
            began = time.monotonic()
            wrong, brief = outcome(Run(session, case, file["service"], endpoint, url, number))
            line = json.dumps({"file": name, "case": case["name"], "endpoint": endpoint, "wrong": wrong, "brief": brief,
                               "took": round(time.monotonic() - began, 3)})
            with written:
                print(line, flush=True)


def main():
    split = sys.argv.index("--")
    files = [(pathlib.Path(n).stem, yaml.load(pathlib.Path(n).read_text(), yaml.CSafeLoader)) for n in sys.argv[split + 1:]]
    written = threading.Lock()
    threads = [threading.Thread(target=run_all, args=(*arg.split("=", 1), files, written)) for arg in sys.argv[1:split]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


if __name__ == "__main__":
    main()
