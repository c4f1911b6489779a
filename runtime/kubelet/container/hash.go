package container

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// SpecHash changes with what of a container makes it start anew while its pod lives.
func SpecHash(c *corev1.Container) string { return short([]byte(c.Image)) }

func short(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// ID is the same for the same incarnation of a container, so that a start that was cut
// short is found and not doubled.
func ID(uid, sandbox, name string, restarts int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%d", uid, sandbox, name, restarts))
	return hex.EncodeToString(sum[:])
}
