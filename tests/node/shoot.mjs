// Pictures of a page: light and dark, wide and narrow.
import { mkdir, writeFile } from "node:fs/promises";

const LOOKS = [["light", 1280, "light"], ["dark", 1280, "dark"], ["narrow", 390, "light"], ["narrow-dark", 390, "dark"]];

export async function shooter(page, url, folder) {
  await mkdir(folder, { recursive: true });
  const debug = await page.context().newCDPSession(page);
  return async (name, path) => {
    for (const [ending, width, scheme] of LOOKS) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 860 });
      if (path) await page.goto(url + path);
      await page.waitForTimeout(150);
      const picture = await debug.send("Page.captureScreenshot", { format: "webp", quality: 75 });
      await writeFile(`${folder}/${name}-${ending}.webp`, Buffer.from(picture.data, "base64"));
    }
    await page.setViewportSize({ width: 1280, height: 860 });
  };
}
