// Package podautoscaler scales what HorizontalPodAutoscalers name by the metrics that they
// name. How many replicas metrics ask for (calculator.go), and how much of that bounds,
// policies and stabilization let through (plan.go, behavior.go), is pure; around it are the
// target's scale subresource and the three APIs of metrics.
//
// Nothing of it runs before the first HorizontalPodAutoscaler is there.
//
// It may import runtime/client, runtime/pod and the controllers' internal packages.
package podautoscaler
