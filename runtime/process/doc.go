// Package process is what every long-running process of ours has in common:
// structured logs to the journal, the health address (/healthz, /readyz, and
// /metrics for whom the API server allows it), readiness told to systemd, and a clean
// end on SIGTERM. Only cmd/gantry imports it: components know nothing of the process
// around them. It may import runtime/access and runtime/config.
package process
