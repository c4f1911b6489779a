// Package prober asks running containers how they are, again and again, by the
// probes of their pod, and keeps what they say. It may import the kubelet's packages
// container and probe.
package prober
