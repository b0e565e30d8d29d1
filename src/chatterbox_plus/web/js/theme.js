// Runs before anything is drawn, so that nobody who chose dark sees a flash of light.
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
