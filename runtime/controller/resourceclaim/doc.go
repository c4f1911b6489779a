// Package resourceclaim makes the ResourceClaims of pods from their templates, tells in the
// pods' status which they are, takes the reservations of pods that have ended back, and with
// the last of them what was allocated.
package resourceclaim
