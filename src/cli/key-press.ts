import { stdin } from "node:process";

const CTRL_C = "\u0003";

/** Calls `pressed` for every key, without Enter, until the returned function is called; Ctrl-C is `ctrl-c`. */
export function listenToKeys(pressed: (key: string) => void): () => void {
  const onData = (data: Buffer) => {
    for (const key of data.toString("utf8")) pressed(key === CTRL_C ? "ctrl-c" : key);
  };
  stdin.setRawMode(true);
  stdin.resume();
  stdin.on("data", onData);
  return () => {
    stdin.off("data", onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
