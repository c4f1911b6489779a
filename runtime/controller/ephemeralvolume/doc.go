// Package ephemeralvolume makes the PersistentVolumeClaims of pods' generic ephemeral
// volumes. Their pods own them, so the garbage collector takes them away.
package ephemeralvolume
