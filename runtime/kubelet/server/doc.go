// Package server is the kubelet's HTTPS server: health, metrics, pods, logs and sessions
// for those who may have them by the API server's word (nodes/metrics, nodes/pods,
// nodes/proxy …). It may import runtime/access, runtime/config, runtime/pod and the
// kubelet's packages container and podlog.
package server
