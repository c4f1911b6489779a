// Package status computes the status of pods, which is pure, and writes it to the API.
// It may import runtime/pod and the kubelet's packages container and podworker/plan.
package status
