// Values as colours: a diverging map whose middle is zero, in a light and a dark form.

class Colours {
  constructor(maps) {
    this.maps = maps;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.printing = false;
  }

  get isDark() {
    return this.dark.matches && !this.printing;
  }

  get map() {
    return this.isDark ? this.maps.dark : this.maps.light;
  }

  // A place in the map for a value; what lies beyond the limit has the colour of the end.
  entry(value, limit) {
    const last = this.map.length - 1;
    if (!Number.isFinite(value)) return this.maps.odd;
    const part = limit > 0 ? clamp(value / limit, -1, 1) : 0;
    return this.map[Math.round((part + 1) / 2 * last)];
  }

  css(value, limit) {
    return `rgb(${this.entry(value, limit).join(" ")})`;
  }

  // Black or white, whichever is easier to read on this colour (WCAG 2, relative luminance).
  textOn(value, limit) {
    const [red, green, blue] = this.entry(value, limit).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  // A number for each place of the map that an image takes as it is: red, green, blue, opaque.
  get packed() {
    const pack = ([red, green, blue]) => (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
    return { map: Uint32Array.from(this.map, pack), odd: pack(this.maps.odd) };
  }
}

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
