// Package vacprotection keeps a VolumeAttributesClass that is deleted while a claim or a
// volume names it (finalizer kubernetes.io/vac-protection).
package vacprotection
