// Package nodelifecycle notices nodes that fall silent and tells the scheduler of
// nodes' conditions by taints. Who leaves a tainted node is the affair of taint
// eviction. Decisions are pure (plan.go, status.go, zones.go).
package nodelifecycle
