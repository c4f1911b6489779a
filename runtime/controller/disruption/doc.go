// Package disruption keeps the status of each PodDisruptionBudget, by which the
// eviction subresource decides whether a pod may be drained.
package disruption
