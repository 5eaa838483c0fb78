"""The desk: an alert by every channel, and all that people do with it, by command, against a running service."""

import json
import time
from pathlib import Path
from xml.etree import ElementTree

from alerts.outbox import Outbox
from model.time import iso_from_ns
from runtime.broker import broker
from tests.hostile.receiver import documented_receiver
from tests.receivers import Certificates, smtp, tak, web
from tests.shell.test_live import Sender, connected
from tests.site import marchwarden, service, site_at, until


def test_an_alert_goes_by_every_channel_and_through_its_whole_life(tmp_path: Path) -> None:
    log, certificates = tmp_path / "log", Certificates(tmp_path / "tls")
    with (
        broker() as running,
        web(certificates) as hook,
        web() as cap,
        tak(certificates) as server,
        smtp(certificates) as box,
    ):
        site = site_at(tmp_path, running.port)
        (site / "secret").write_text("strictly between the two of us\n")
        (site / "secret").chmod(0o600)
        ca = f'ca_file = "{certificates.authority}"\n'
        channels = (
            f'kind = "webhook"\nurl = "{hook.url}"\nsecret_file = "secret"\n{ca}',
            f'kind = "cap"\nurl = "{cap.url}"\nstatus = "Exercise"\n',
            f'kind = "cot"\nserver = "127.0.0.1:{server.port}"\n{ca}',
            f'kind = "email"\nserver = "127.0.0.1:{box.port}"\nsender = "a@site.example"\nto = ["desk@agency.example"]\n{ca}',
        )
        agencies = (site / "agencies.toml").read_text()
        more = "".join(f'[[agency.channel]]\nid = "more-{n}"\n{said}' for n, said in enumerate(channels))
        first = agencies.index("[[agency.channel]]")
        (site / "agencies.toml").write_text(agencies[:first] + more + agencies[first:])
        feed = f'[[feed]]\nid = "tak"\nformat = "cot"\ntopic = "cot"\nserver = "127.0.0.1:{server.port}"\n{ca}\n'
        feed += '[[unit]]\nid = "bravo-6"\nfeed = "tak"\nsource = "ANDROID-1"\n'
        text = (site / "site.toml").read_text()
        (site / "site.toml").write_text(text.replace("[[feed]]", feed + "[[feed]]", 1))
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            sender = Sender(running.port)
            sender.walk_over_the_line()
            outbox = Outbox(site / "state" / "marchwarden.db")
            raised = until(
                lambda: [i for i in outbox.incidents() if i["rule"] == "inbound-crossing"], "the crossing was raised"
            )
            key = raised[0]["alert"]
            until(
                lambda: hook.taken and cap.taken and key.encode() in server.got and box.messages, "every channel has it"
            )
            said, body = hook.got[0]
            documented_receiver().verify(
                b"strictly between the two of us", said["Marchwarden-Signature"], body, time.time()
            )
            assert ElementTree.fromstring(cap.taken[0]).findtext("{*}status") == "Exercise"

            def do(*arguments: str) -> str:
                done = marchwarden("alerts", arguments[0], site, *arguments[1:], "--by", "ana")
                assert done.returncode == 0, done.stderr
                return done.stderr

            assert f"{key}: acknowledged by ana." in do("ack", key[:6])
            do("assign", key, "--to", "unit-7")
            do("note", key, "two adults")
            do("hand-over", key, "--for", "border-patrol", "--to", "sheriff-cochise")
            do("decline", key, "--for", "sheriff-cochise", "--note", "not our county")
            assert "disputed" in marchwarden("alerts", "list", site).stdout
            do("accept", key, "--for", "border-patrol")
            do("share", key, "--to", "park-rangers")
            refused = marchwarden("alerts", "share", site, key, "--to", "park-rangers")
            assert (refused.returncode, "has it already" in refused.stderr) == (1, True)
            do("silence", "zone=stock-tank", "class=person", "--reason", "ranch hands", "--hours", "1")
            until(lambda: "ranch hands" in marchwarden("alerts", "silences", site).stdout, "the silence is shown")
            silence = json.loads(marchwarden("alerts", "silences", site, "--json").stdout)[0]["silence"]
            do("unsilence", silence[:6])
            do("resolve", key, "--as", "genuine")
            shown = marchwarden("alerts", "show", site, key, "--reason", "test").stdout
            for said_by in (
                "assigned by ana: unit-7",
                "declined by ana: sheriff-cochise: not our county",
                "resolved by ana",
            ):
                assert said_by in shown
            until(
                lambda: "radar-west" in marchwarden("alerts", "nuisance", site).stdout,
                "the disposition is counted",
            )
            now = iso_from_ns(time.time_ns())
            unit = (
                f'<event version="2.0" uid="ANDROID-1" type="a-f-G-U-C" time="{now}" start="{now}" '
                'stale="2099-01-01T00:00:00Z" how="m-g"><point lat="31.34" lon="-110.6" hae="0" ce="5" le="5"/></event>'
            )
            server.say(unit.encode())
            until(lambda: outbox.status().get("units"), "a unit of ours is known")
            until(
                lambda: (
                    any(b"<msgType>Cancel</msgType>" in each and key.encode() in each for each in cap.taken)
                    and any(key in str(mail) and "resolved" in str(mail) for mail in box.messages)
                ),
                "its end reached them",
            )
            sender.close()
    bodies = [json.loads(body)["data"] for body in hook.taken]
    of_it = [b for b in bodies if b["alert"] == key]
    assert [b["revision"] for b in of_it] == sorted({b["revision"] for b in of_it})
    assert (of_it[0]["phase"], of_it[-1]["phase"], of_it[-1]["resolution"]) == ("raised", "cleared", "genuine")
    assert marchwarden("audit", "verify", site).returncode == 0


def test_dead_letters_are_shown_and_sent_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with broker() as running, web(status=400) as hook:
        site = site_at(tmp_path, running.port)
        agencies = (site / "agencies.toml").read_text()
        more = f'[[agency.channel]]\nid = "hook"\nkind = "webhook"\nurl = "{hook.url}"\n'
        first = agencies.index("[[agency.channel]]")
        (site / "agencies.toml").write_text(agencies[:first] + more + agencies[first:])
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            sender = Sender(running.port)
            sender.walk_over_the_line()
            until(lambda: json.loads(marchwarden("alerts", "dead", site, "--json").stdout), "it is a dead letter")
            assert "answered 400" in marchwarden("alerts", "dead", site, "--json").stdout
            hook.status = 204
            done = marchwarden("alerts", "dead", site, "--send-again", "--channel", "hook")
            assert "will be sent again" in done.stderr
            until(lambda: hook.taken, "it arrived")
            sender.close()
    assert json.loads(hook.taken[0])["data"]["phase"] == "raised"
