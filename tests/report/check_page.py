#!/usr/bin/env python3
"""Opens HTML pages in headless Chromium and fails where one says something on the console or is wider than its window.

    check_page.py PAGE.html...   checks at 1280 and at 400 pixels, light and dark
    check_page.py --self-test    plants one fault of each kind in a page and expects to find it

Exit code 77 where there is no Chromium.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from planted import verdict  # noqa: E402

SKIPPED = 77
WIDTHS = (1280, 400)
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Messages of the page, not of the browser about its own surroundings.
CONSOLE = re.compile(r"CONSOLE.*")
# Runs inside a copy of the page and tells the frame around it; a window of its own cannot be 400 pixels wide.
PROBE = """<script>
const faults = [];
addEventListener("error", (event) => faults.push(event.message || "a resource did not load"), true);
addEventListener("securitypolicyviolation", (event) => faults.push("refused: " + event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  const page = document.documentElement;
  const wide = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > page.clientWidth + 1 &&
    !e.closest(".scroll, .tall, figure svg")).map((e) => e.tagName + "." + e.className);
  parent.postMessage(JSON.stringify({width: page.clientWidth, content: page.scrollWidth, wide: wide.slice(0, 5), faults,
                                     sections: document.querySelectorAll("section").length}), "*");
}, 50));
</script>"""
FRAME = """<!DOCTYPE html><body style="margin:0"><iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe>
<pre id="told"></pre><script>addEventListener("message", (event) => told.textContent = event.data);</script></body>"""


def browse(folder, page, *options):
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               f"--user-data-dir={folder}/profile", "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", *options,
               page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def problems_of(page):
    """What is wrong with a page, as a list of lines."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plain = browse(folder, pathlib.Path(page).resolve())
        found += [f"console: {line}" for line in CONSOLE.findall(plain.stderr)]
        text = pathlib.Path(page).read_text(encoding="utf-8")
        (folder / "page.html").write_text(text.replace("<head>", "<head>" + PROBE, 1), encoding="utf-8")
        for width in WIDTHS:
            for scheme in ("0", "1"):  # dark, light
                (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
                shown = browse(folder, folder / "frame.html", "--window-size=1400,1000", f"--blink-settings=preferredColorScheme={scheme}")
                told = re.search(r'<pre id="told">(.*?)</pre>', shown.stdout, re.DOTALL)
                if not told or not told.group(1):
                    found.append(f"at {width} pixels: the page did not load: {shown.stderr[-300:]}")
                    continue
                state = json.loads(told.group(1).replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
                found += [f"at {width} pixels: {fault}" for fault in state["faults"]]
                if state["content"] > state["width"] or state["wide"]:
                    found.append(f"at {width} pixels: wider than the window: {state['content']} against {state['width']} {state['wide']}")
                if state["sections"] == 0:
                    found.append(f"at {width} pixels: the page has no sections")
    return found


GOOD = "<!DOCTYPE html><html><head><title>t</title></head><body><main><section>words</section>{}</main></body></html>"
PLANTED = {
    "a console message": ("<script>console.error('planted')</script>", "planted"),
    "a script that fails": ("<script>absent()</script>", "absent is not defined"),
    "a picture that is not there": ("<img src='absent.png'>", "did not load"),
    "a wide table": ("<div style='width:700px'>wide</div>", "wider than the window"),
}


def self_test():
    with tempfile.TemporaryDirectory() as name:
        page = pathlib.Path(name) / "planted.html"

        def problems_with(markup):
            page.write_text(GOOD.format(markup), encoding="utf-8")
            return problems_of(page)

        return verdict(problems_with(""), [(fault, expected, problems_with(markup)) for fault, (markup, expected) in PLANTED.items()])


def main(arguments):
    if BROWSER is None:
        print("no Chromium here (Debian package chromium): pages are not opened")
        return SKIPPED
    if arguments == ["--self-test"]:
        return self_test()
    problems = [f"{page}: {line}" for page in arguments for line in problems_of(page)]
    print("\n".join(problems) or f"{len(arguments)} pages, no problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
