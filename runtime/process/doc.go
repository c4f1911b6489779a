// Package process is what every long-running process of ours has in common:
// structured logs to the journal, the health address (/healthz, /readyz,
// /metrics over mutual TLS), readiness told to systemd, and a clean end on
// SIGTERM. Only cmd/gantry imports it: components know nothing of the process
// around them. It may import runtime/config.
package process
