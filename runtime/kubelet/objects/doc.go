// Package objects reads the ConfigMaps and Secrets that pods refer to, and tells when
// one that is in a volume has changed. It imports nothing of ours.
package objects
