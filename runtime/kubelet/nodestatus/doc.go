// Package nodestatus registers this node with the API and keeps its status, its
// conditions and its lease. It may import runtime/client and the kubelet's packages
// container and stats.
package nodestatus
