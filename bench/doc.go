// Command bench measures what the README promises, on the lab's servers: sizes,
// provisioning, memory and the speed of pods. It prints Markdown for
// docs/benchmarks.md and asserts nothing. What a thousand hosts cost it measures
// on models, with the provider in its own process. It may import its own packages,
// e2e, lab, bootstrap, provider, runtime/client and runtime/config.
package main
