// Package admit decides whether a pod that was bound to this node can run on it. The
// scheduler decided the same on what it knew then; a pod may also name its node itself.
// There is one file per handler. It may import runtime/pod.
package admit
