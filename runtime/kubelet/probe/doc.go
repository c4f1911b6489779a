// Package probe asks a container once how it is: by HTTP, TCP, the standard gRPC
// health protocol, or a command in it. When and how often is the business of
// runtime/kubelet/prober. It may import runtime/kubelet/container.
package probe
