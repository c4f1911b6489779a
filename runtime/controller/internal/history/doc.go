// Package history keeps the pod templates that an owner has had, as
// ControllerRevisions in the form that kubectl rollout history and undo read.
package history
