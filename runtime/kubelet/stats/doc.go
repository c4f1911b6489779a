// Package stats reads what this server is, how much of it is free, and, when somebody
// asks, what its pods use. It may import runtime/kubelet/cm, container and poddir.
package stats
