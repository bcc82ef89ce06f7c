// Asks for the page again every two seconds and puts in the sections that changed. Without it the page reloads by itself.
(() => {
	"use strict";
	const every = 2000, parser = new DOMParser();
	let last = Date.now(), timer = 0;

	const lost = (text) => {
		let box = document.getElementById("lost");
		document.body.classList.toggle("stale", text !== "");
		if (text === "") {
			if (box) box.remove();
			return;
		}
		if (!box) {
			box = document.createElement("p");
			box.id = "lost";
			box.setAttribute("role", "alert");
			document.body.prepend(box);
		}
		box.textContent = text;
	};

	const put = (html) => {
		const fresh = parser.parseFromString(html, "text/html");
		const marked = window.getSelection();
		for (const now of fresh.querySelectorAll("[id]")) {
			const before = document.getElementById(now.id);
			const isRead = before && marked && !marked.isCollapsed && marked.containsNode(before, true);
			if (before && !isRead && before.outerHTML !== now.outerHTML) before.replaceWith(document.adoptNode(now));
		}
	};

	const look = async () => {
		try {
			const answer = await fetch("/", {cache: "no-store", signal: AbortSignal.timeout(5000)});
			if (!answer.ok) throw new Error(answer.status);
			put(await answer.text());
			last = Date.now();
			lost("");
		} catch {
			lost("No answer from sagad for " + Math.round((Date.now() - last) / 1000) + " s: what follows is how it was then.");
		}
		timer = document.hidden ? 0 : setTimeout(look, every);
	};

	document.addEventListener("visibilitychange", () => {
		if (!document.hidden && timer === 0) look();
	});
	timer = setTimeout(look, every);
})();
