// Shows what came in since the page was made; without it people load the page again.
(() => {
  const EVERY_MS = 5000;
  const main = document.getElementById("main");
  if (!main || !main.dataset.live) return;
  const isBusy = () => document.hidden || main.contains(document.activeElement.closest("input, pre, .scroll"));
  const renew = async () => {
    const told = await fetch(location.href, { credentials: "same-origin" });
    if (!told.ok || told.redirected) return;
    const page = new DOMParser().parseFromString(await told.text(), "text/html");
    const fresh = page.getElementById("main");
    if (!fresh || isBusy()) return;
    main.replaceChildren(...fresh.childNodes);
    main.dataset.version = fresh.dataset.version;
    const lead = document.querySelector("h1 + p");
    const news = page.querySelector("h1 + p");
    if (lead && news) lead.textContent = news.textContent;
    const sorter = document.querySelector('script[src$="/tables.js"]');
    const again = document.createElement("script");
    again.src = sorter.src;
    sorter.replaceWith(again);
  };
  const look = async () => {
    if (isBusy()) return;
    try {
      const told = await fetch(main.dataset.live, { credentials: "same-origin" });
      if (told.ok && (await told.json()).version !== main.dataset.version) await renew();
    } catch {
      // The service is away: it is asked again.
    }
  };
  setInterval(look, EVERY_MS);
})();
