// The other side of the round trip between processes.
process.on("message", (message) => process.send?.(message as object));
process.on("disconnect", () => process.exit(0));
