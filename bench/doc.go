// Command bench measures what the README promises, on the lab's servers: sizes,
// provisioning, memory and the speed of pods. It prints Markdown for
// docs/benchmarks.md and asserts nothing. It may import e2e, lab and
// runtime/config.
package main
