// Package server is the kubelet's HTTPS server: health and metrics for whoever holds a
// certificate of the cluster; pods, logs and sessions for the API server and
// administrators. It may import runtime/config, runtime/pod and the kubelet's packages
// container and podlog.
package server
