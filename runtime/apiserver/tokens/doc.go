// Package tokens issues and verifies service account tokens: signed JWTs that
// are bound to a service account and, mostly, to the pod that holds them, and die
// with it. It imports nothing of ours; who exists is asked through [Lookup].
package tokens
