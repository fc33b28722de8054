// Keeps the page of a run that is at work up to date. Without it the page is reloaded by hand.
"use strict";
{
    const SECONDS = 2;
    const SPOKEN_SECONDS = 10;
    const page = document.querySelector(".mktg-run-page");
    const find = (name) => page.querySelector(`[data-${name}]`);
    let spokenAt = 0;
    let failures = 0;

    const cell = (tag, text) => {
        const made = document.createElement(tag);
        made.textContent = text;
        if (tag === "th") {
            made.scope = "row";
        } else {
            made.className = "mktg-run-number";
        }
        return made;
    };

    const line = (label, ...values) => {
        const row = document.createElement("tr");
        row.append(cell("th", label), ...values.map((value) => cell("td", value)));
        return row;
    };

    const show = (run) => {
        const state = find("state");
        state.textContent = run.label;
        state.className = `mktg-run mktg-run-${run.state}`;
        if (run.share === null) {
            find("bar").removeAttribute("value");
        } else {
            find("bar").value = run.share;
        }
        find("detail").textContent = run.detail;
        find("counts").replaceChildren(...run.counts.map((count) => line(count.label, count.count)));
        if (find("streams")) {
            const names = ["added", "changed", "unchanged", "removed", "rejected"];
            find("streams").replaceChildren(...run.streams.map((stream) => {
                const rows = stream.expected ? `${stream.rows} / ${stream.expected}` : stream.rows;
                const row = line(stream.name, stream.label, rows, ...names.map((name) => stream.counts[name]));
                row.dataset.stream = stream.name;
                row.children[1].className = "";
                return row;
            }));
        }
        // A screen reader is told now and then, not with each look.
        if (Date.now() - spokenAt >= SPOKEN_SECONDS * 1000) {
            find("words").textContent = run.in_words;
            spokenAt = Date.now();
        }
    };

    const look = async () => {
        try {
            const answer = await fetch(page.dataset.progress, {
                credentials: "same-origin",
                headers: {Accept: "application/json"},
            });
            if (!answer.ok || answer.redirected) {
                throw new Error(String(answer.status));
            }
            const run = await answer.json();
            failures = 0;
            show(run);
            if (run.is_over) {
                // What may be done with it now, and what it found, is the server's to say.
                window.location.reload();
                return;
            }
        } catch (error) {
            failures += 1;
        }
        window.setTimeout(look, SECONDS * 1000 * Math.min(2 ** failures, 30));
    };

    for (const hint of page.querySelectorAll(".mktg-run-noscript")) {
        hint.hidden = true;
    }
    window.setTimeout(look, SECONDS * 1000);
}
