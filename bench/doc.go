// Command bench measures what the README promises, on the lab's servers: sizes,
// provisioning, memory and the speed of pods. It prints Markdown for
// docs/benchmarks.md and asserts nothing. It may import its own packages, e2e,
// lab, bootstrap/pki, runtime/client and runtime/config.
package main
