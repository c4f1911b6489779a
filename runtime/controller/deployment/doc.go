// Package deployment rolls each Deployment's pod template out over replica sets. The
// arithmetic is pure (plan.go, sets.go, status.go).
package deployment
